"""The standard output, which may be full, or a pipe whose reader has ended."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO, override

from data_bridge.damaged_files import reason_of


class OutputError(Exception):
    """The standard output could not be written; `ended` when the reader has closed the pipe."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the standard output cannot be written: {reason_of(error)}")
        self.ended = isinstance(error, BrokenPipeError)


class _CheckedOutput(io.TextIOBase):
    """A text stream with its own error type, which escapes characters that it cannot encode."""

    def __init__(self, output: TextIO) -> None:
        self._output = output

    @override
    def write(self, text: str) -> int:
        try:
            return self._output.write(text)
        except UnicodeEncodeError as error:
            return self._output.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
        except OSError as error:
            raise OutputError(error) from error

    @override
    def flush(self) -> None:
        try:
            self._output.flush()
        except OSError as error:
            raise OutputError(error) from error

    @override
    def isatty(self) -> bool:
        return self._output.isatty()

    @override
    def fileno(self) -> int:
        return self._output.fileno()


@contextlib.contextmanager
def checked_output() -> Iterator[None]:
    """Let `print` raise OutputError where the output cannot be written, at the latest at the end.

    Raises:
        OutputError: the standard output did not take all.
    """
    output = sys.stdout
    sys.stdout = checked = _CheckedOutput(output)
    try:
        try:
            yield
        finally:
            checked.flush()
    except OutputError:
        # Buffered text would fail again when the interpreter ends, with a message of its own.
        discard(output)
        raise
    finally:
        sys.stdout = output


def discard(output: TextIO) -> None:
    """Discard everything that is still written to a stream."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, output.fileno())
        finally:
            os.close(null)


def complain(text: object) -> None:
    """Print to the standard error, which may be full as well."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
