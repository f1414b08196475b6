"""A YRM1001 reader that is a program: it speaks the serial protocol byte for byte on a pseudo-terminal.

    python -m mqtt_controller.readers.emulator --link /tmp/reader MLON WTMN WTMN
    python -m mqtt_controller --serial-port /tmp/reader

Standard input takes `add CODE [COUNT]`, `remove CODE [COUNT]` and `clear`, one a line. POSIX only.
"""

import argparse
import contextlib
import errno
import os
import select
import sys
import threading
import time
import tty
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from mqtt_controller.readers.frames import (
    REGIONS,
    CommandCode,
    ErrorCode,
    Frame,
    FrameParser,
    FrameType,
    TagNotice,
    tag_crc,
)
from mqtt_controller.readers.simulated import SIMULATED_RSSI, ScriptError, SimulatedBasket, parse_change

# Twelve bytes of EPC, as the field's tags have: six words in the upper five bits of the protocol control word.
PROTOCOL_CONTROL = 0x3000
ROUND_SECONDS = 0.02
SUCCESS = b"\0"
MOST_POWER = 3300
POWER_LENGTH = 2
POLL_MANY_LENGTH = 3
POLLS = bytes((CommandCode.POLL_ONCE,))


class ReaderEmulator:
    """One reader, whose tags are those of `basket`, plus single `tags` with a strength of their own.

    A context manager plugs it in and out; it may be plugged in again. `path` is the device to open: the link, when one
    is given, which stays the same over plugging.
    """

    def __init__(self, *, link: Path | None = None, round_seconds: float = ROUND_SECONDS) -> None:
        self.basket = SimulatedBasket()
        self.tags: dict[bytes, int] = {}
        self.received: list[Frame] = []
        self.silent = False
        self.region = 0
        self.power = 0
        self.hopping = False
        self._link = link
        self._round_seconds = round_seconds
        self._rounds = 0
        self._host: int | None = None
        self._device: int | None = None
        self._path = ""
        self._wake_read, self._wake_write = -1, -1
        self._thread: threading.Thread | None = None
        self._writing = threading.Lock()

    @property
    def path(self) -> str:
        """Return the device to open."""
        return str(self._link) if self._link is not None else self._path

    @property
    def polling(self) -> bool:
        """Tell whether a "poll many" is under way: the transmitter is on."""
        return self._rounds > 0

    def plug_in(self) -> None:
        """Make the device and answer on it.

        Raises:
            OSError: the link cannot be made, or its place is taken by something that no emulator left there.
        """
        self._host, self._device = os.openpty()
        # Without it the terminal would translate and echo bytes.
        tty.setraw(self._device)
        self._path = os.ttyname(self._device)
        if self._link is not None:
            try:
                self._unlink()
                self._link.symlink_to(self._path)
            except OSError:
                os.close(self._host)
                os.close(self._device)
                self._host = self._device = None
                raise
        self._rounds = 0
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, args=(self._host,), name="reader-emulator")
        self._thread.start()

    def unplug(self) -> None:
        """Take the device away, as a pulled cable does; whoever has it open gets errors."""
        if self._thread is None or self._host is None or self._device is None:
            return
        os.write(self._wake_write, b"x")
        self._thread.join()
        self._thread = None
        for descriptor in (self._host, self._device, self._wake_read, self._wake_write):
            os.close(descriptor)
        self._host = self._device = None
        with contextlib.suppress(OSError):  # another file has taken the link's place
            self._unlink()

    def _unlink(self) -> None:
        """Remove the link, also the one of an emulator that was killed, and nothing else."""
        if self._link is None or not os.path.lexists(self._link):
            return
        if not self._link.is_symlink() or self._link.readlink().parent != Path(self._path).parent:
            raise FileExistsError(errno.EEXIST, "it exists, and is no emulator's link", str(self._link))
        self._link.unlink()

    def __enter__(self) -> Self:
        """Plug it in."""
        self.plug_in()
        return self

    def __exit__(self, *_: object) -> None:
        """Plug it out."""
        self.unplug()

    def send(self, data: bytes) -> None:
        """Put bytes on the line: noise, half a frame, an unasked notice."""
        if self._host is not None and not self.silent:
            with self._writing, contextlib.suppress(BlockingIOError):  # nobody reads: a UART's bytes are lost too
                os.write(self._host, data)

    def _run(self, host: int) -> None:
        os.set_blocking(host, False)
        parser = FrameParser()
        next_round = 0.0
        while True:
            timeout = max(0.0, next_round - time.monotonic()) if self._rounds else None
            readable, _, _ = select.select([host, self._wake_read], [], [], timeout)
            if self._wake_read in readable:
                return
            if host in readable:
                with contextlib.suppress(BlockingIOError):
                    for frame in parser.feed(os.read(host, 4096)):
                        self.received.append(frame)
                        self._answer(frame)
            if self._rounds and time.monotonic() >= next_round:
                self._rounds -= 1
                next_round = time.monotonic() + self._round_seconds
                self._round()

    def _answer(self, frame: Frame) -> None:
        if frame.kind != FrameType.COMMAND:
            return
        parameters = frame.parameters
        value = int.from_bytes(parameters, "big")
        match frame.code:
            case CommandCode.REGION if len(parameters) == 1 and parameters[0] in REGIONS.values():
                self.region = parameters[0]
            case CommandCode.CHANNEL if len(parameters) == 1:
                pass
            case CommandCode.HOPPING if parameters in (b"\x00", b"\xff"):
                self.hopping = parameters == b"\xff"
            case CommandCode.POWER if len(parameters) == POWER_LENGTH and value <= MOST_POWER:
                self.power = value
            case CommandCode.POLL_ONCE if not parameters:
                self._round()
                return
            case CommandCode.POLL_MANY if (
                len(parameters) == POLL_MANY_LENGTH and parameters[0] == CommandCode.POLL_ONCE
            ):
                self._rounds = value & 0xFFFF
                return
            case CommandCode.STOP if not parameters:
                self._rounds = 0
            case _:
                self._error(ErrorCode.UNKNOWN_COMMAND)
                return
        self.send(Frame(FrameType.RESPONSE, frame.code, SUCCESS).encode())

    def _round(self) -> None:
        tags = {**dict.fromkeys(self.basket.tags(), SIMULATED_RSSI), **self.tags}
        for epc, rssi in tags.items():
            control = len(epc) // 2 << 11 | PROTOCOL_CONTROL & 0x07FF
            self.send(TagNotice(rssi, control, epc, tag_crc(control, epc)).frame().encode())
        if not tags:
            self._error(ErrorCode.NO_TAG)

    def _error(self, code: ErrorCode) -> None:
        self.send(Frame(FrameType.RESPONSE, CommandCode.ERROR, bytes((code,))).encode())


def _change_as_told(basket: SimulatedBasket, path: str) -> None:
    sys.stdout.write(f"{path}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        try:
            change = parse_change(line.split())
        except ScriptError as error:
            sys.stderr.write(f"{error}\n")
        else:
            change.apply(basket)


def main(arguments: Iterable[str] | None = None) -> int:
    """Run one emulator until standard input ends or Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m mqtt_controller.readers.emulator",
        description="A YRM1001 reader that is a program: it speaks the serial protocol on a pseudo-terminal.",
        epilog="Standard input takes: add CODE [COUNT], remove CODE [COUNT], clear; one a line.",
    )
    parser.add_argument("--link", type=Path, help="a path that leads to the device as long as this runs")
    parser.add_argument("products", nargs="*", metavar="CODE", help="product codes in reach from the beginning")
    options = parser.parse_args(None if arguments is None else list(arguments))
    emulator = ReaderEmulator(link=options.link)
    with contextlib.ExitStack() as stack:
        try:
            for code in options.products:
                emulator.basket.add(code)
            stack.enter_context(emulator)
        except (OSError, ValueError) as error:
            sys.stderr.write(f"emulator: {error}\n")
            return 2
        stack.enter_context(contextlib.suppress(KeyboardInterrupt))
        _change_as_told(emulator.basket, emulator.path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
