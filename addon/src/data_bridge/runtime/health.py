"""The health file of a running bridge, and its evaluation by the health command."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import orjson

from data_bridge.damaged_files import reason_of
from data_bridge.files import write_atomically
from data_bridge.pipeline.deduplication.boot_clock import BootTime, boot_time

INTERVAL_SECONDS = 5.0
# A bridge that has not written for this time hangs or has ended.
STALE_SECONDS = 20.0
# Clocks of two processes of one machine agree; those of two machines nearly do.
_TOLERANCE_SECONDS = 2.0
_PID_NAMESPACE = Path("/proc/self/ns/pid")


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the bridge works, and one sentence why not."""

    healthy: bool
    text: str


def write_health(
    path: Path,
    *,
    connected: bool,
    connection_error: str | None,
    store_error: str | None,
    content: dict[str, object],
    now: BootTime | None = None,
    wall_clock: float | None = None,
) -> None:
    """Replace the file atomically.

    `connection_error` and `store_error` are the reasons why there is no connection, and why no dead letter can be
    stored; None: there is one, and they can.

    Raises:
        OSError: it cannot be written.
    """
    now = now or boot_time()
    own = {
        "ts": time.time() if wall_clock is None else wall_clock,
        "boot": now.boot,
        "boot_seconds": now.seconds,
        "pid": os.getpid(),
        "pid_namespace": _pid_namespace(),
        "connected": connected,
        "connection_error": connection_error,
        "store_error": store_error,
    }
    write_atomically(path, orjson.dumps({**content, **own}))


def read_health(path: Path, now: BootTime | None = None, wall_clock: float | None = None) -> Health:
    """Return the health of a bridge by its health file and its process."""
    try:
        written = _Written.of(orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        return Health(False, f"the bridge does not run: there is no {path}")
    except OSError as error:
        return Health(False, f"{path} cannot be read: {reason_of(error)}")
    except (ValueError, TypeError, KeyError, OverflowError):
        return Health(False, f"{path} is damaged")
    now = now or boot_time()
    age = now.since(written.at)
    if age is None:
        age = (time.time() if wall_clock is None else wall_clock) - written.wall_clock
    elif written.has_ended():
        return Health(False, f"the bridge does not run: process {written.pid}, which wrote {path}, has ended")
    if age < -_TOLERANCE_SECONDS:
        return Health(False, f"{path} is not believed: it is dated {-age:.0f} s in the future")
    if age > STALE_SECONDS:
        text = f"the bridge does not run, or hangs: process {written.pid} has not written {path} for {age:.0f} s"
        return Health(False, text)
    return written.judge()


@dataclass(frozen=True, slots=True)
class _Written:
    wall_clock: float
    at: BootTime
    pid: int
    pid_namespace: str
    connected: bool
    connection_error: str | None
    store_error: str | None

    @classmethod
    def of(cls, content: dict[str, object]) -> "_Written":
        """Return a health file's content; that of an earlier version has less.

        Raises:
            ValueError, TypeError, KeyError, OverflowError: it is none.
        """
        return cls(
            float(str(content["ts"])),
            BootTime(str(content.get("boot") or ""), float(str(content.get("boot_seconds", 0)))),
            int(str(content["pid"])),
            str(content.get("pid_namespace") or ""),
            content["connected"] is True,
            _text(content.get("connection_error")),
            _text(content.get("store_error")),
        )

    def has_ended(self) -> bool:
        """Return whether the process is known to have ended; a process id of another container is ignored."""
        if not self.pid_namespace or self.pid_namespace != _pid_namespace():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False

    def judge(self) -> Health:
        if not self.connected:
            cause = f": {self.connection_error}" if self.connection_error else ""
            return Health(False, f"the bridge runs, but has no connection to the broker{cause}")
        if self.store_error is not None:
            return Health(False, f"the bridge runs, but cannot store dead letters: {self.store_error}")
        return Health(True, "the bridge runs and is connected")


def _pid_namespace() -> str:
    """Return the id of the process namespace, empty where the system has none."""
    try:
        return str(_PID_NAMESPACE.readlink())
    except OSError:
        return ""


def _text(value: object) -> str | None:
    return None if value is None else str(value)
