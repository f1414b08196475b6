"""The program's words: standard streams that may be closed, full or unread, and a log that a flood cannot fill.

A write to a full pipe waits for its reader, and the basket would wait with it. So a thread of its own writes,
and a text for which there is no room is left out.
"""

import contextlib
import io
import logging
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Iterator
from typing import override

from mqtt_controller.allowance import Allowance

MOST_WAITING_BYTES = 262_144
# How long the program's end waits for a reader of its last words.
LAST_WORDS_SECONDS = 1.0
# A line of the log, its numbers and names aside, may come so often at once, and then so often a second.
LINES_AT_ONCE = 20
LINES_PER_SECOND = 0.1
MOST_KINDS_OF_LINES = 1000


class BackgroundStream(io.TextIOBase):
    """A text stream to a descriptor whose writes never wait; a text that finds no room is left out and counted.

    An error of the descriptor is raised by the next write if `strict`; else there is nothing to be done about it.
    """

    def __init__(self, descriptor: int, encoding: str, *, strict: bool) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._encoding = encoding
        self._strict = strict
        self._texts: deque[bytes] = deque()
        self._waiting = 0
        self._left_out = 0
        self._error: OSError | None = None
        self._closing = False
        self._changed = threading.Condition()
        # It may hang in a write for ever, which must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name=f"output-{descriptor}", daemon=True)
        self._thread.start()

    @property
    @override
    def encoding(self) -> str:  # type: ignore[override]  # io declares an attribute
        return self._encoding

    @override
    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    @override
    def fileno(self) -> int:
        return self._descriptor

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, text: str, /) -> int:
        data = text.encode(self._encoding, "replace" if self._strict else "backslashreplace")
        with self._changed:
            if self._error is not None:
                if self._strict:
                    raise OSError(self._error.errno, self._error.strerror)
            elif self._waiting + len(data) > MOST_WAITING_BYTES:
                self._left_out += 1
            else:
                self._texts.append(data)
                self._waiting += len(data)
                self._changed.notify_all()
        return len(text)

    def finish(self) -> None:
        """Wait until everything is written, but not for long."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(LAST_WORDS_SECONDS)

    def _run(self) -> None:
        while (data := self._next()) is not None:
            try:
                self._write_out(data)
            except OSError as error:
                with self._changed:
                    self._error = error
                    self._texts.clear()
                return
            with self._changed:
                self._waiting -= len(data)

    def _next(self) -> bytes | None:
        with self._changed:
            while not self._texts and not self._closing:
                self._changed.wait()
            if not self._texts:
                return None
            data = self._texts.popleft()
            if self._left_out and self._waiting < MOST_WAITING_BYTES // 2:
                note = f"mqtt_controller: {self._left_out} texts were left out here, for nobody read them\n".encode()
                self._left_out = 0
                self._texts.append(note)
                self._waiting += len(note)
            return data

    def _write_out(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:  # another program made the terminal or pipe that both have non-blocking
                select.select([], [self._descriptor], [])


@contextlib.contextmanager
def background_output() -> Iterator[None]:
    """Let nothing that is written to the standard streams wait for a reader."""
    before = sys.stdout, sys.stderr
    output = BackgroundStream(1, sys.stdout.encoding, strict=True)
    errors = BackgroundStream(2, sys.stderr.encoding, strict=False)
    sys.stdout, sys.stderr = output, errors
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        output.finish()
        errors.finish()


class FloodFilter(logging.Filter):
    """Lets lines of one kind through only so often, and says with the next one how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[tuple[str, str], tuple[Allowance, list[int]]] = {}

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.name, str(record.msg)
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS_OF_LINES:
            self._kinds.clear()
        allowance, left_out = self._kinds.setdefault(kind, (Allowance(LINES_AT_ONCE, LINES_PER_SECOND), [0]))
        if not allowance.take():
            left_out[0] += 1
            return False
        if left_out[0]:
            record.msg = f"{record.msg} ({left_out[0]} more like this were left out)"
            left_out[0] = 0
        elif allowance.used_up:
            record.msg = f"{record.msg} (more like this are left out for a while)"
        return True
