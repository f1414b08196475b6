"""What a killed `scripts/develop` leaves behind: its parts live on, and hold the ports and files of the next start."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

# Every part carries the folder of its stack in its environment; it is how a later start knows its own.
MARK = "DEVELOPMENT_STACK"
STOP_SECONDS = 20.0


def mark(directory: Path) -> dict[str, str]:
    """Return what a part of the stack in `directory` has in its environment."""
    return {MARK: str(directory.resolve())}


def leftovers(directory: Path) -> Iterator[int]:
    """Yield the ids of living processes that belong to the stack in `directory`; none where there is no /proc."""
    wanted = f"{MARK}={directory.resolve()}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                yield int(process.name)


def end(directory: Path) -> int:
    """End what is left of the stack in `directory`, and return how many processes that were."""
    found = set(leftovers(directory))
    deadline = time.monotonic() + STOP_SECONDS
    for process in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
    while living := found.intersection(leftovers(directory)):
        if time.monotonic() > deadline:
            for process in living:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        time.sleep(0.05)
    return len(found)
