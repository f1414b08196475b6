"""Random passwords of the app's own, made once and kept."""

import os
import secrets
from pathlib import Path

_BYTES = 32


def kept_password(path: Path) -> str:
    """Return the password in the file; a missing file is made first, with a random one and for its owner's eyes alone.

    Raises:
        OSError: the file can neither be read nor made.
    """
    if path.exists():
        return path.read_text(encoding="ascii")
    password = secrets.token_urlsafe(_BYTES)
    # Whole or not at all: a power cut between making and writing would leave an empty password for good.
    unfinished = path.with_name(path.name + ".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(password)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    return password
