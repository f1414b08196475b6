"""A 3D printer as any dialect reports it."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from .errors import DamagedStateError
from .instant import Instant
from .json_values import JsonObject, JsonValue, to_float, to_text

# A printer is disconnected after this silence, or after three of its reporting intervals where they are longer.
SILENCE = timedelta(seconds=30)
MISSED_REPORTS = 3
# A longer pause between two reports is no interval: the printer was switched off.
LONGEST_INTERVAL = timedelta(minutes=10)


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
    """One printer, identified by the uuid of its topics.

    Two links lead to it: its host's to the broker and its own to the host. Measured values are None while either is
    lost; the job's file name and progress stay.

    Attributes:
        interval: the time between the last two full reports.
        online: whether the host reports.
        last_job: the file name of the job that runs or ran last.
    """

    uuid: str
    state: PrinterState | None = None
    progress: float | None = None
    file_name: str | None = None
    last_job: str | None = None
    nozzle_temperature: float | None = None
    nozzle_target: float | None = None
    bed_temperature: float | None = None
    bed_target: float | None = None
    interval: timedelta = timedelta(0)
    last_report: Instant | None = None
    last_message: Instant | None = None
    online: bool = False

    @property
    def linked(self) -> bool | None:
        """Return whether the printer is connected to its host, None while the host is silent."""
        return None if self.state is None or not self.online else self.state is not PrinterState.OFFLINE

    def apply(self, report: PrinterReport, now: Instant) -> None:
        """Take a message."""
        self.last_message = now
        self.online = True
        self.state = report.state or self.state
        if report.full:
            self._learn_interval(now)
        if self.state is PrinterState.OFFLINE:
            self._clear_measurements()
        elif report.full:
            self._set_job(report)
            self.nozzle_temperature = _rounded(report.nozzle_temperature)
            self.nozzle_target = report.nozzle_target
            self.bed_temperature = _rounded(report.bed_temperature)
            self.bed_target = report.bed_target
        if self.file_name is not None and self.state in (PrinterState.PRINTING, PrinterState.PAUSED):
            self.last_job = self.file_name

    def apply_retained(self, report: PrinterReport) -> None:
        """Take a retained message, which may be old: the job of a silent printer, and no sign of life."""
        if report.full and not self.online:
            self._set_job(report)

    def check_timeouts(self, now: Instant) -> bool:
        """Apply the silence timeout, the only sign of a switched-off printer. Return whether anything changed."""
        before = self.online
        silence = max(SILENCE, MISSED_REPORTS * self.interval)
        self.online = self.last_message is not None and now - self.last_message < silence
        if before and not self.online:
            self.state = None
            self._clear_measurements()
        return before != self.online

    def _learn_interval(self, now: Instant) -> None:
        if self.last_report is not None and now - self.last_report <= LONGEST_INTERVAL:
            self.interval = now - self.last_report
        self.last_report = now

    def _set_job(self, report: PrinterReport) -> None:
        self.progress = _rounded(report.progress)
        self.file_name = report.file_name

    def _clear_measurements(self) -> None:
        self.nozzle_temperature = None
        self.nozzle_target = None
        self.bed_temperature = None
        self.bed_target = None

    def as_json(self) -> JsonObject:
        """Return the state to store."""
        return {
            "uuid": self.uuid,
            "progress": self.progress,
            "file_name": self.file_name,
            "last_job": self.last_job,
            "interval": self.interval.total_seconds(),
        }

    @classmethod
    def from_json(cls, stored: JsonValue) -> Printer:
        """Restore a printer, disconnected until its next message.

        Raises:
            DamagedStateError: the stored form is no object, or has no uuid.
        """
        if not isinstance(stored, dict) or not isinstance(uuid := stored.get("uuid"), str) or not uuid:
            raise DamagedStateError("uuid")
        seconds = max(to_float(stored.get("interval")) or 0, 0)
        return cls(
            uuid=uuid,
            progress=to_float(stored.get("progress")),
            file_name=to_text(stored.get("file_name")),
            last_job=to_text(stored.get("last_job")),
            interval=timedelta(seconds=min(seconds, LONGEST_INTERVAL.total_seconds())),
        )


def _rounded(value: float | None) -> float | None:
    # A tenth is more than a print needs, and keeps noise in the last digits from being a change.
    return None if value is None else round(value, 1)
