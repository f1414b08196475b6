"""Files that only their owner may read: they hold what devices said."""

import os
from pathlib import Path

_PRIVATE = 0o600


def private(path: str, flags: int) -> int:
    """Open a file as `open(…, opener=private)` asks, making it for its owner alone where there is none."""
    return os.open(path, flags, _PRIVATE)


def make_private(path: Path) -> None:
    """Take a file that is there from everybody but its owner.

    Raises:
        OSError: there is none, or it is somebody else's.
    """
    if path.stat().st_mode & 0o077:
        path.chmod(_PRIVATE)
