"""What the hub asks of every family of devices: baskets, printers, bridges."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from homeassistant.components.mqtt import ReceiveMessage
from homeassistant.core import HomeAssistant

from .devices.errors import MalformedMessageError
from .devices.json_values import JsonObject
from .devices.topics import Channel
from .field_devices import FieldDevice

type Handler = Callable[[ReceiveMessage], None]


class House(Protocol):
    """What a family needs of the hub that it lives in."""

    hass: HomeAssistant
    connected: bool
    listening_since: datetime | None
    entry_id: str
    site_device_id: str

    def register(self, device: FieldDevice) -> str:
        """Put a device into the registry, or bring its entry up to date, and return its id there."""

    def build(self, device: FieldDevice) -> None:
        """Let every platform build the entities that the device lacks."""

    def save_soon(self) -> None:
        """Remember that something changed which must survive a restart."""

    def refuse(self, channel: Channel, message: ReceiveMessage, error: MalformedMessageError) -> None:
        """Count a message that cannot be read."""


class DeviceFamily(ABC):
    """The devices of one kind: they come with their messages, go when the user deletes them, and survive restarts."""

    def __init__(self, house: House) -> None:
        self._house = house

    @abstractmethod
    def devices(self) -> Iterable[FieldDevice]:
        """Return every device of the family."""

    @abstractmethod
    def handlers(self) -> dict[Channel, Handler]:
        """Return who takes which messages."""

    @abstractmethod
    def restore(self, stored: Sequence[JsonObject]) -> None:
        """Bring back devices from what `stored` returned once."""

    @abstractmethod
    def stored(self) -> list[JsonObject]:
        """Return what must survive a restart."""

    @abstractmethod
    def forget(self, key: str) -> bool:
        """Forget a device and tell whether it was one of this family."""

    def pass_time(self, now: datetime) -> None:  # noqa: B027 -- most of what a family says needs no clock
        """Notice what only a clock tells."""

    def reach(self, connected: bool) -> None:
        """Show that nothing can be known without the broker, or that it can again."""
        for device in self.devices():
            device.reach(connected)


def raw(message: ReceiveMessage) -> bytes:
    """Return the bytes of a message."""
    payload = message.payload
    return payload.encode() if isinstance(payload, str) else bytes(payload)
