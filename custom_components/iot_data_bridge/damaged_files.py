"""Copies of damaged files, which are kept beside the files for their user."""

import shutil
from datetime import datetime
from pathlib import Path

# Of a file that is damaged again and again, so many are kept.
MOST_DAMAGED = 3


def damaged_files(path: Path) -> list[Path]:
    """Return what was kept of a damaged file and not deleted since, oldest first."""
    return sorted(path.parent.glob(f"{path.name}.damaged-*[0-9]"))


def damaged_path(path: Path, now: datetime) -> Path:
    """Return the name under which a file that is found damaged is kept."""
    return path.with_name(f"{path.name}.damaged-{now:%Y%m%d%H%M%S}")


def copy_damaged(path: Path, now: datetime) -> None:
    """Keep a copy of a file, and no more than the newest ones."""
    if path.exists():
        shutil.copy2(path, damaged_path(path, now))
    for older in damaged_files(path)[:-MOST_DAMAGED]:
        older.unlink(missing_ok=True)


def delete_damaged(path: Path) -> None:
    """Delete every copy of a file."""
    for file in damaged_files(path):
        file.unlink(missing_ok=True)
