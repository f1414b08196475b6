"""The YRM1001 or M100 RFID reader on a serial port."""

import contextlib
import importlib
import logging
import math
import time
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

from mqtt_controller.presence import Sighting
from mqtt_controller.readers import ReaderError
from mqtt_controller.readers.frames import (
    REGIONS,
    CommandCode,
    ErrorCode,
    Frame,
    FrameParser,
    FrameType,
    tag_notice,
)

if TYPE_CHECKING:
    import serial

log = logging.getLogger(__name__)

BAUD_RATE = 115200
ANSWER_SECONDS = 0.5
# How long one read waits for the first byte: the grain of all waiting here.
READ_SECONDS = 0.02
# The shortest that a round of polling takes. A cycle asks for as many as fit and no more, so that the transmitter of a
# program that was killed goes off by itself, seconds later.
ROUND_SECONDS = 0.002
MOST_ROUNDS = 0xFFFF
SUCCESS = b"\0"
NO_TAG = bytes((ErrorCode.NO_TAG,))


class SerialReader:
    """Polls one reader: "poll many" for a cycle, then "stop", whose answer proves that the reader still listens.

    `region` is a key of `REGIONS`; the power is in dBm, in steps of 0.01.

    Raises:
        ReaderError: pyserial is not installed.
    """

    def __init__(self, port: str, cycle_seconds: float, *, region: str = "korea", power_dbm: float = 26.0) -> None:
        try:
            self._pyserial = importlib.import_module("serial")
        except ImportError as error:
            raise ReaderError("RFID on a serial port needs pyserial: pip install 'iot-data-bridge[serial]'") from error
        self._port = port
        self._cycle_seconds = cycle_seconds
        self._rounds = min(math.ceil(cycle_seconds / ROUND_SECONDS), MOST_ROUNDS)
        self._region = REGIONS[region]
        self._power = round(power_dbm * 100)
        self._serial: serial.Serial | None = None
        self._parser = FrameParser()

    @property
    def name(self) -> str:
        """Return the device of the serial port."""
        return self._port

    def start(self) -> None:
        """Open the port and set the reader up: region, hopping over its channels, power.

        Raises:
            ReaderError: there is no such port, no answer, or a setting was refused.
        """
        with self._errors():
            if self._serial is None:
                # exclusive: two programs on one reader would each see half of its answers.
                self._serial = self._pyserial.Serial(
                    self._port, BAUD_RATE, timeout=READ_SECONDS, write_timeout=ANSWER_SECONDS, exclusive=True
                )
            # It may still be polling for a program that was killed.
            self._ask(CommandCode.STOP)
            self._ask(CommandCode.REGION, bytes((self._region,)))
            self._ask(CommandCode.HOPPING, b"\xff")
            self._ask(CommandCode.POWER, self._power.to_bytes(2, "big"))

    def cycle(self) -> Collection[Sighting]:
        """Poll for a cycle.

        Raises:
            ReaderError: the reader was lost, or is silent.
        """
        sightings: list[Sighting] = []

        def collect(frame: Frame) -> None:
            notice = tag_notice(frame)
            if notice is None:
                return
            if notice.intact:
                sightings.append(Sighting(notice.epc, notice.rssi))
            else:
                log.warning("RFID reader %s: a tag's answer fails its CRC and is not counted", self._port)

        with self._errors():
            self._write(CommandCode.POLL_MANY, bytes((CommandCode.POLL_ONCE,)) + self._rounds.to_bytes(2, "big"))
            self._read(self._cycle_seconds, collect)
            self._ask(CommandCode.STOP, meanwhile=collect)
        return sightings

    def stop(self) -> None:
        """Do nothing: between two cycles the reader rests anyway."""

    def close(self) -> None:
        """Release the port."""
        port, self._serial = self._serial, None
        self._parser = FrameParser()
        if port is not None:
            with contextlib.suppress(OSError):  # it may be unplugged
                port.close()

    def _opened(self) -> "serial.Serial":
        if self._serial is None:
            raise ReaderError("the port is not open")
        return self._serial

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:  # pyserial's own errors are among them
            self.close()
            raise ReaderError(str(error)) from error
        except ReaderError:
            self.close()
            raise

    def _write(self, code: CommandCode, parameters: bytes = b"") -> None:
        self._opened().write(Frame(FrameType.COMMAND, code, parameters).encode())

    def _read(self, seconds: float, take: Callable[[Frame], object]) -> None:
        """Pass frames on for this long, or until `take` returns True."""
        port = self._opened()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for frame in self._parser.feed(port.read(port.in_waiting or 1)):
                if take(frame) is True:
                    return

    def _ask(
        self, code: CommandCode, parameters: bytes = b"", meanwhile: Callable[[Frame], None] | None = None
    ) -> None:
        answers: list[Frame] = []

        def is_answer(frame: Frame) -> bool:
            refusal = frame.code == CommandCode.ERROR and frame.parameters[:1] != NO_TAG
            if frame.kind == FrameType.RESPONSE and (frame.code == code or refusal):
                answers.append(frame)
                return True
            if meanwhile is not None:
                meanwhile(frame)
            return False

        self._write(code, parameters)
        self._read(ANSWER_SECONDS, is_answer)
        if not answers:
            # Line noise may have swallowed the beginning of the answer.
            for frame in self._parser.flush():
                is_answer(frame)
        if not answers:
            raise ReaderError(f"no answer to {code.name} within {ANSWER_SECONDS} s; is it a YRM1001 or M100?")
        if answers[0].code == CommandCode.ERROR or answers[0].parameters[:1] not in (SUCCESS, b""):
            raise ReaderError(f"refused {code.name} {parameters.hex()}: {answers[0].parameters.hex() or 'no reason'}")
