"""The one gate through which a message may create a device: its name, the caps, the acceptance of new devices."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from .errors import MalformedMessageError
from .level_names import is_topic_name


class DeviceKind(StrEnum):
    """The kinds of devices that a message can create."""

    BASKET = "basket"
    PRINTER = "printer"
    BRIDGE = "bridge"
    BRIDGED_DEVICE = "bridged_device"


class Acceptance(StrEnum):
    """When new devices are accepted."""

    ALWAYS = "always"
    TEN_MINUTES = "ten_minutes"
    NEVER = "never"


ACCEPTANCE_TIME = timedelta(minutes=10)
# Of a site. A publisher that invents names must not fill storage and registries.
MOST_DEVICES = {
    DeviceKind.BASKET: 2_000,
    DeviceKind.PRINTER: 500,
    DeviceKind.BRIDGE: 100,
    DeviceKind.BRIDGED_DEVICE: 10_000,
}


@dataclass(slots=True)
class Admission:
    """Decides whether a device that is not known yet is created.

    Attributes:
        until: the moment until which new devices are accepted, None for always.
    """

    until: datetime | None = None

    def check(self, kind: DeviceKind, name: str, present: int, now: datetime | None) -> None:
        """Accept a device with this name (a topic or an id) beside `present` others of its kind, or raise.

        `now` is None for a device that was accepted before.

        Raises:
            MalformedMessageError: `name_invalid`, `new_devices_not_accepted`, `too_many_baskets`, `…_printers`,
                `…_bridges` or `…_bridged_devices`.
        """
        if not is_topic_name(name):
            raise MalformedMessageError("name_invalid")
        if self.until is not None and now is not None and now >= self.until:
            raise MalformedMessageError("new_devices_not_accepted")
        if present >= MOST_DEVICES[kind]:
            raise MalformedMessageError(f"too_many_{kind}s")


def accepted_until(acceptance: Acceptance, ends: datetime | None) -> datetime | None:
    """Return until when new devices are accepted, None for always; `ends` is the end of the ten minutes."""
    match acceptance:
        case Acceptance.ALWAYS:
            return None
        case Acceptance.NEVER:
            return datetime.min.replace(tzinfo=UTC)
        case Acceptance.TEN_MINUTES:
            return ends or datetime.min.replace(tzinfo=UTC)
