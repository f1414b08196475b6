"""Request and response over a serial line, on pyserial (the extra `serial`)."""

from collections.abc import Mapping
from typing import override

import serial

from communicator.common.exception import ProtocolConnectionError, ProtocolTimeoutError, ProtocolValidationError
from communicator.protocols.stream.framing import Framing
from communicator.protocols.stream.stream_protocol import StreamProtocol


class SerialProtocol(StreamProtocol):
    """A device at a serial port that answers requests; also any of pyserial's URLs, such as `socket://host:port`."""

    def __init__(
        self,
        port: str,
        baudrate: int = 9600,
        *,
        bytesize: int = 8,
        parity: str = "N",
        stopbits: float = 1,
        rtscts: bool = False,
        xonxoff: bool = False,
        timeout: float = 5.0,
        framing: Framing | Mapping[str, object] | None = None,
        reconnect_attempts: int = 3,
        reconnect_delay: float = 0.5,
    ) -> None:
        """Make it for one port, such as `/dev/ttyUSB0` or `COM3`; parity N, E, O, M or S; times in seconds.

        Raises:
            ProtocolValidationError: a setting is impossible.
        """
        if not port:
            raise ProtocolValidationError("port must not be empty")
        super().__init__(
            port,
            timeout=timeout,
            framing=framing,
            reconnect_attempts=reconnect_attempts,
            reconnect_delay=reconnect_delay,
        )
        try:
            self._line: serial.Serial = serial.serial_for_url(
                port,
                baudrate,
                bytesize=bytesize,
                parity=parity,
                stopbits=stopbits,
                rtscts=rtscts,
                xonxoff=xonxoff,
                write_timeout=timeout,
                do_not_open=True,
            )
        except ValueError as error:
            raise ProtocolValidationError(f"{port}: {error}") from error

    @property
    @override
    def is_connected(self) -> bool:
        return bool(self._line.is_open)

    @override
    def _open(self) -> None:
        try:
            self._line.open()
        except (serial.SerialException, OSError, ValueError) as error:
            raise ProtocolConnectionError(f"{self.place}: {error}") from error

    @override
    def _close(self) -> None:
        self._line.close()

    @override
    def _write(self, data: bytes) -> None:
        try:
            self._line.write(data)
        except serial.SerialTimeoutException as error:
            raise ProtocolTimeoutError(f"{self.place}: the line did not take the request in time") from error
        except (serial.SerialException, OSError) as error:
            raise ProtocolConnectionError(f"{self.place}: {error}") from error

    @override
    def _read(self, count: int, seconds: float) -> bytes:
        try:
            self._line.timeout = max(seconds, 0.0)
            # One byte within the time, then what came with it: read(count) would wait for all of them.
            first = bytes(self._line.read(1))
            return first + bytes(self._line.read(min(count - 1, self._line.in_waiting))) if first else b""
        except (serial.SerialException, OSError, TypeError) as error:
            # pyserial raises TypeError when the port is closed under a read.
            raise ProtocolConnectionError(f"{self.place}: {error}") from error
