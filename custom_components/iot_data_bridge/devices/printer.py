"""A 3D printer as any dialect reports it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from .json_values import JsonObject, JsonValue, to_float, to_text

SILENCE = timedelta(seconds=30)


class PrinterState(StrEnum):
    """The state of the printer's job, independent of its link."""

    IDLE = "idle"
    PRINTING = "printing"
    PAUSED = "paused"
    ERROR = "error"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class PrinterReport:
    """The content of one message; a `full` one replaces every value, a missing value by None.

    Progress in percent, temperatures in degrees Celsius.
    """

    state: PrinterState | None = None
    full: bool = False
    progress: float | None = None
    file_name: str | None = None
    nozzle_temperature: float | None = None
    nozzle_target: float | None = None
    bed_temperature: float | None = None
    bed_target: float | None = None


@dataclass(slots=True)
class Printer:
    """One printer, identified by the uuid of its topics."""

    uuid: str
    state: PrinterState | None = None
    progress: float | None = None
    file_name: str | None = None
    nozzle_temperature: float | None = None
    nozzle_target: float | None = None
    bed_temperature: float | None = None
    bed_target: float | None = None
    last_message: datetime | None = None
    online: bool = False

    def apply(self, report: PrinterReport, now: datetime) -> None:
        """Take a message."""
        self.last_message = now
        self.online = True
        self.state = report.state or self.state
        if report.full:
            self.progress = _rounded(report.progress)
            self.file_name = report.file_name
            self.nozzle_temperature = _rounded(report.nozzle_temperature)
            self.nozzle_target = report.nozzle_target
            self.bed_temperature = _rounded(report.bed_temperature)
            self.bed_target = report.bed_target

    def check_timeouts(self, now: datetime) -> bool:
        """Apply the silence timeout, the only sign of a switched-off printer. Return whether anything changed."""
        before = self.online
        self.online = self.last_message is not None and now - self.last_message < SILENCE
        return before != self.online

    def as_json(self) -> JsonObject:
        """Return the state to store."""
        return {
            "uuid": self.uuid,
            "state": self.state,
            "progress": self.progress,
            "file_name": self.file_name,
            "nozzle_temperature": self.nozzle_temperature,
            "nozzle_target": self.nozzle_target,
            "bed_temperature": self.bed_temperature,
            "bed_target": self.bed_target,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, JsonValue]) -> Printer:
        """Restore a printer, disconnected until its next message.

        Raises:
            KeyError: the stored form has no uuid.
        """
        state = stored.get("state")
        return cls(
            uuid=str(stored["uuid"]),
            state=PrinterState(state) if isinstance(state, str) and state in PrinterState else None,
            progress=to_float(stored.get("progress")),
            file_name=to_text(stored.get("file_name")),
            nozzle_temperature=to_float(stored.get("nozzle_temperature")),
            nozzle_target=to_float(stored.get("nozzle_target")),
            bed_temperature=to_float(stored.get("bed_temperature")),
            bed_target=to_float(stored.get("bed_target")),
        )


def _rounded(value: float | None) -> float | None:
    # A tenth is more than a print needs, and keeps noise in the last digits from being a change.
    return None if value is None else round(value, 1)
