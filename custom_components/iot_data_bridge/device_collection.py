"""The interface between the hub and its collections of devices: baskets, printers, bridges."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Protocol

from homeassistant.components.mqtt import ReceiveMessage
from homeassistant.core import HomeAssistant

from .devices.admission import DeviceKind
from .devices.errors import MalformedMessageError
from .devices.instant import Instant
from .devices.json_values import JsonObject, JsonValue
from .devices.topics import Channel
from .field_devices import FieldDevice

# Raises MalformedMessageError for a message that it cannot use.
type Handler = Callable[[ReceiveMessage], None]


class SiteContext(Protocol):
    """The part of the hub that a collection uses."""

    hass: HomeAssistant
    connected: bool
    subscribed_since: Instant | None
    entry_id: str
    site_device_id: str

    def register(self, device: FieldDevice) -> str:
        """Put a device into the registry, or bring its entry up to date, and return its id there."""

    def build(self, device: FieldDevice) -> None:
        """Let every platform build the entities that the device lacks."""

    def save_soon(self) -> None:
        """Store the site's state soon."""

    def save_sessions(self) -> None:
        """Store the sessions and the day's figures at once."""

    def reads(self, key: str) -> bool:
        """Tell whether the site's topics match the messages of the device with this key."""

    def admit(self, kind: DeviceKind, key: str, name: str, present: int) -> None:
        """Accept a new device beside `present` others of its kind; raises MalformedMessageError with the reason."""

    def dispatch(self, channel: Channel, message: ReceiveMessage) -> None:
        """Let a handler take a message that had to wait."""

    def refuse(self, channel: Channel, topic: str, error: MalformedMessageError) -> None:
        """Count a message that cannot be used."""


class DeviceCollection(ABC):
    """The devices of one kind: created by their first message, removed by the user, restored after a restart."""

    def __init__(self, context: SiteContext) -> None:
        self._context = context

    @abstractmethod
    def devices(self) -> Iterable[FieldDevice]:
        """Return every device of the collection."""

    @abstractmethod
    def handlers(self) -> dict[Channel, Handler]:
        """Return the message handler of each channel."""

    @abstractmethod
    def restore(self, stored: JsonValue) -> None:
        """Restore a device from an item of an earlier return value of `stored`.

        Raises:
            DamagedStateError: the device, or one behind it, is not restored.
        """

    @abstractmethod
    def stored(self) -> list[JsonObject]:
        """Return the state to store, one object for each device."""

    @abstractmethod
    def remove(self, key: str) -> bool:
        """Remove a device; False when it is not in this collection."""

    def check_timeouts(self, now: Instant) -> None:  # noqa: B027 -- most collections have no timeouts
        """Apply the timeouts that end at `now`."""

    def set_connected(self, connected: bool) -> None:
        """Make every device available or unavailable with the connection to the broker."""
        for device in self.devices():
            device.set_connected(connected)


def payload_of(message: ReceiveMessage) -> bytes:
    """Return the bytes of a message."""
    payload = message.payload
    return payload.encode() if isinstance(payload, str) else bytes(payload)
