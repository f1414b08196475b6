"""Private files, since they hold messages of devices, and their atomic replacement."""

import os
from pathlib import Path

_PRIVATE = 0o600
_PRIVATE_FOLDER = 0o700


def private(path: str, flags: int) -> int:
    """Open a file as `open(…, opener=private)` asks, making it for its owner alone where there is none."""
    return os.open(path, flags, _PRIVATE)


def make_private(path: Path) -> None:
    """Restrict an existing file to its owner.

    Raises:
        OSError: there is none, or another user owns it.
    """
    if path.stat().st_mode & 0o077:
        path.chmod(_PRIVATE)


def make_private_folder(path: Path) -> None:
    """Make a folder for its owner alone where there is none, and those above it.

    Raises:
        OSError: it cannot be made.
    """
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)


def write_atomically(path: Path, data: bytes, *, synced: bool = False) -> None:
    """Replace a private file atomically, so that a reader finds the old content or the new.

    With `synced` the new content is on the disk before it takes the old one's place: else a power cut may leave the
    name without its content.

    Raises:
        OSError: it cannot be written; the old content is still there.
    """
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with open(temporary, "xb", opener=private) as file:
        file.write(data)
        if synced:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)
