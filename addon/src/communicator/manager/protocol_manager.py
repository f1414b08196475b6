"""Protocols by name: ours, and those of other packages in the entry-point group `communicator.protocols`."""

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points

from communicator.common.exception import ProtocolValidationError
from communicator.interfaces.protocol import BaseProtocol

GROUP = "communicator.protocols"

ProtocolFactory = Callable[..., BaseProtocol]
"""A protocol's class, or a function that makes one; called with the settings as keyword arguments."""


class ProtocolManager:
    """Makes protocols from configuration mappings."""

    def __init__(self) -> None:
        """Know every protocol of the installed packages; none is imported before it is made."""
        self._factories: dict[str, ProtocolFactory] = {}
        self._installed = {entry.name: entry for entry in entry_points(group=GROUP)}

    @property
    def names(self) -> list[str]:
        """Return the names of all known protocols, sorted."""
        return sorted(self._factories.keys() | self._installed.keys())

    def register(self, name: str, factory: ProtocolFactory) -> None:
        """Add a protocol of the application's own; it goes before an installed one of the same name."""
        self._factories[name] = factory

    def create(self, configuration: Mapping[str, object]) -> BaseProtocol:
        """Make, not connect, the protocol that `configuration["protocol"]` names, with the other keys as settings.

        Raises:
            ProtocolValidationError: the name is missing or unknown, a setting is unknown or impossible, or the protocol
                needs a package that is not installed.
        """
        settings = dict(configuration)
        name = settings.pop("protocol", None)
        if not isinstance(name, str):
            raise ProtocolValidationError(f'"protocol" is missing; known are {", ".join(self.names)}')
        factory = self._factory(name)
        try:
            inspect.signature(factory).bind(**settings)
        except TypeError as error:
            raise ProtocolValidationError(f"protocol {name!r}: {error}") from error
        return factory(**settings)

    def _factory(self, name: str) -> ProtocolFactory:
        if name in self._factories:
            return self._factories[name]
        entry = self._installed.get(name)
        if entry is None:
            raise ProtocolValidationError(f"unknown protocol {name!r}; known are {', '.join(self.names)}")
        try:
            factory: ProtocolFactory = entry.load()
        except ImportError as error:
            raise ProtocolValidationError(f"protocol {name!r} cannot be loaded: {error}") from error
        self._factories[name] = factory
        return factory
