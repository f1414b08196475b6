"""The health file that a running bridge keeps writing, and what the health command makes of it."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import orjson

INTERVAL_SECONDS = 5.0
# A bridge that did not write for so long hangs or is gone.
STALE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the bridge works, and one sentence why not."""

    healthy: bool
    text: str


def write_health(path: Path, *, connected: bool, content: dict[str, object]) -> None:
    """Replace the file at once, so that a reader never meets half of it.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(orjson.dumps({"ts": time.time(), "pid": os.getpid(), "connected": connected, **content}))
    temporary.replace(path)


def read_health(path: Path, now: float | None = None) -> Health:
    """Judge a bridge by its health file."""
    try:
        content = orjson.loads(path.read_bytes())
        written, connected = float(content["ts"]), content["connected"] is True
    except OSError:
        return Health(False, f"the bridge does not run: there is no {path}")
    except (ValueError, TypeError, KeyError):
        return Health(False, f"{path} is damaged")
    age = (time.time() if now is None else now) - written
    if age > STALE_SECONDS:
        return Health(False, f"the bridge does not run: it last wrote {path} {age:.0f} s ago")
    if not connected:
        return Health(False, "the bridge runs, but has no connection to the broker")
    return Health(True, "the bridge runs and is connected")
