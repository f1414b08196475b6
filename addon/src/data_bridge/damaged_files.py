"""Files of the data directory that cannot be used: moved aside under a name with the time, never deleted."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import orjson


class DamagedFileError(Exception):
    """A file or a folder that cannot be used as it is: damaged, of the wrong kind, or unreadable.

    `companions` are endings of the names of files that are useless without it.
    """

    def __init__(self, path: Path, cause: str, companions: tuple[str, ...] = ()) -> None:
        super().__init__(f"{path} cannot be used: {cause}")
        self.path = path
        self.cause = cause
        self.companions = companions


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A file that could not be used, and why; `moved_to` is None where it stayed in its place."""

    path: Path
    moved_to: Path | None
    cause: str


class DamagedFiles:
    """Moves files aside that cannot be used, so that the program runs without them, and reports each."""

    def __init__(self, report: Callable[[DamagedFile], None], clock: Callable[[], float] = time.time) -> None:
        """`report` is called with each damaged file; `clock` returns Unix seconds."""
        self.count = 0
        self._report = report
        self._clock = clock

    def run[T](self, action: Callable[[], T]) -> T:
        """Return the result of `action`, after moving aside each damaged file that it meets.

        Raises:
            DamagedFileError: a damaged file cannot be moved aside.
        """
        while True:
            try:
                return action()
            except DamagedFileError as error:
                self.move(error)

    def move(self, damaged: DamagedFileError) -> None:
        """Move a damaged file aside, and report it.

        Raises:
            DamagedFileError: it cannot be moved.
        """
        moved_to = self._free_name(damaged.path)
        try:
            for ending in damaged.companions:
                with contextlib.suppress(FileNotFoundError):
                    _with_ending(damaged.path, ending).rename(_with_ending(moved_to, ending))
            damaged.path.rename(moved_to)
        except OSError as error:
            cause = f"{damaged.cause}; it cannot be moved aside: {reason_of(error)}"
            raise DamagedFileError(damaged.path, cause) from error
        self.report(DamagedFile(damaged.path, moved_to, damaged.cause))

    def report(self, damaged: DamagedFile) -> None:
        """Count and report a file of which a part is lost."""
        self.count += 1
        self._report(damaged)

    def _free_name(self, path: Path) -> Path:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock()))
        names = (f"{path.name}.damaged-{stamp}{f'-{number}' if number else ''}" for number in count())
        return next(free for name in names if not (free := path.with_name(name)).exists(follow_symlinks=False))


def _with_ending(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}{ending}")


def read_json(path: Path) -> object | None:
    """Return the document of a JSON file, None when there is no file.

    Raises:
        DamagedFileError: it cannot be read, or is no JSON.
    """
    try:
        document: object = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    except orjson.JSONDecodeError as error:
        raise DamagedFileError(path, f"it is no JSON: {error}") from error
    return document


def check_file(path: Path) -> None:
    """Check that a path is free or a regular file.

    Raises:
        DamagedFileError: it is something else.
    """
    if path.exists(follow_symlinks=False) and not path.is_file():
        raise DamagedFileError(path, "it is no file")


def unreadable(path: Path, error: OSError) -> DamagedFileError:
    """Return the error for an unreadable file."""
    return DamagedFileError(path, f"it cannot be read: {reason_of(error)}")


def reason_of(error: OSError) -> str:
    """Return the system's text of an error, without the path."""
    return error.strerror or str(error)
