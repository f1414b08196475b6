"""Uptime of the machine: a clock that neither people nor time servers set."""

import time
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class BootTime:
    """Seconds since a start of a machine, the time that it slept included.

    `boot` names that start, so that two times can be compared after the process has ended; it is empty where the system
    does not name it (all but Linux): then the times of two processes cannot be compared.
    """

    boot: str
    seconds: float

    def since(self, earlier: "BootTime") -> float | None:
        """Return the seconds that have passed since an earlier time, None where that cannot be known."""
        passed = self.seconds - earlier.seconds
        return passed if self.boot and self.boot == earlier.boot and passed >= 0 else None


def boot_time() -> BootTime:
    """Return the time since the machine was started."""
    try:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
        return BootTime(boot, time.clock_gettime(time.CLOCK_BOOTTIME))
    except (OSError, ValueError, AttributeError):
        return BootTime("", time.monotonic())
