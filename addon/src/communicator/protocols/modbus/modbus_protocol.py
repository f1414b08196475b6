"""Modbus TCP and RTU on pymodbus (the extra `modbus`), as request and response and as registers and coils."""

import struct
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import override

from pymodbus import FramerType, ModbusException
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusIOException
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU

from communicator.common.exception import (
    ProtocolConnectionError,
    ProtocolError,
    ProtocolTimeoutError,
    ProtocolValidationError,
)
from communicator.interfaces.protocol import ReqResProtocol

MAXIMUM_DEVICE_ID = 255
MAXIMUM_PORT = 65_535
EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
"""Exception codes (Modbus Application Protocol 1.1b3, section 7)."""

Client = ModbusTcpClient | ModbusSerialClient


class ModbusProtocol(ReqResProtocol):
    """One Modbus device; thread-safe, one request at a time.

    `send` takes a PDU (function code and data, without address and checksum) and `receive` returns the response's; the
    methods with names do both. A connection that was lost is made again by the next request, and a request without an
    answer is sent again `retries` times by pymodbus, as Modbus masters do.
    """

    def __init__(self, place: str, *, device_id: int, timeout: float, retries: int) -> None:
        """Make it; `place` names the device in errors, `timeout` is in seconds for each try.

        Raises:
            ProtocolValidationError: a setting is impossible.
        """
        if not 0 <= device_id <= MAXIMUM_DEVICE_ID:
            raise ProtocolValidationError(f"device_id must be 0..{MAXIMUM_DEVICE_ID}, not {device_id}")
        if timeout <= 0:
            raise ProtocolValidationError(f"timeout must be above 0 s, not {timeout}")
        if retries < 0:
            raise ProtocolValidationError(f"retries must not be negative, but is {retries}")
        self.place = place
        self.device_id = device_id
        self._timeout = timeout
        self._retries = retries
        self._client: Client | None = None
        self._decoder = DecodePDU(is_server=True)
        self._responses: deque[bytes] = deque()
        self._lock = threading.RLock()

    @abstractmethod
    def _make_client(self) -> Client:
        """Return a client that is not connected."""

    @property
    def is_connected(self) -> bool:
        """Tell whether the connection is open and not known to be lost."""
        return self._client is not None and bool(self._client.connected)

    @override
    def connect(self) -> bool:
        """Connect, and return True.

        Raises:
            ProtocolConnectionError: the port cannot be reached or opened.
        """
        with self._lock:
            client = self._client or self._make_client()
            try:
                connected = client.connect()
            except (ModbusException, OSError) as error:
                raise ProtocolConnectionError(f"{self.place}: {error}") from error
            if not connected:
                _close(client)
                raise ProtocolConnectionError(f"{self.place}: no connection")
            self._client = client
        return True

    @override
    def disconnect(self) -> None:
        """Close the connection; doing it twice is no error."""
        with self._lock:
            client, self._client = self._client, None
            self._responses.clear()
            if client is not None:
                _close(client)

    @override
    def send(self, data: bytes) -> bool:
        """Carry out one request PDU; its response waits for `receive`.

        Raises:
            ProtocolValidationError: it is no request PDU.
            ProtocolTimeoutError: the device does not answer.
            ProtocolConnectionError: the connection is lost and could not be made again.
        """
        try:
            request = self._decoder.decode(data) if data else None
        except (ModbusException, ValueError, IndexError, struct.error) as error:
            raise ProtocolValidationError(f"no Modbus request: {data.hex(' ')}") from error
        if request is None:
            raise ProtocolValidationError(f"no Modbus request: {data.hex(' ')}")
        request.dev_id = self.device_id
        with self._lock:
            response = self._carry_out(lambda client: client.execute(False, request))
            self._responses.append(bytes((response.function_code,)) + response.encode())
        return True

    @override
    def receive(self, buffer_size: int = 1024) -> bytes:
        """Return the oldest response PDU that was not received; an exception response has bit 7 of its first byte set.

        Raises:
            ProtocolTimeoutError: there is no response: nothing was sent.
            ProtocolValidationError: it has more than `buffer_size` bytes; it stays.
        """
        with self._lock:
            if not self._responses:
                raise ProtocolTimeoutError(f"{self.place}: no request was sent, so there is no response")
            if len(self._responses[0]) > buffer_size:
                raise ProtocolValidationError(
                    f"the response has {len(self._responses[0])} bytes, more than {buffer_size}"
                )
            return self._responses.popleft()

    def read_coils(self, address: int, count: int = 1) -> list[bool]:
        """Return `count` coils from `address` on (function 1).

        Raises:
            ProtocolError: the device answered with an exception, not at all, or cannot be reached.
        """
        return self._bits(lambda client: client.read_coils(address, count=count, device_id=self.device_id), count)

    def read_discrete_inputs(self, address: int, count: int = 1) -> list[bool]:
        """Return `count` discrete inputs from `address` on (function 2); raises as `read_coils`."""
        return self._bits(
            lambda client: client.read_discrete_inputs(address, count=count, device_id=self.device_id), count
        )

    def read_holding_registers(self, address: int, count: int = 1) -> list[int]:
        """Return `count` holding registers of 16 bits from `address` on (function 3); raises as `read_coils`."""
        return self._registers(
            lambda client: client.read_holding_registers(address, count=count, device_id=self.device_id)
        )

    def read_input_registers(self, address: int, count: int = 1) -> list[int]:
        """Return `count` input registers of 16 bits from `address` on (function 4); raises as `read_coils`."""
        return self._registers(
            lambda client: client.read_input_registers(address, count=count, device_id=self.device_id)
        )

    def write_coils(self, address: int, values: Sequence[bool]) -> None:
        """Write coils from `address` on (function 15); raises as `read_coils`."""
        self._checked(lambda client: client.write_coils(address, list(values), device_id=self.device_id))

    def write_registers(self, address: int, values: Sequence[int]) -> None:
        """Write holding registers, 0..65,535 each, from `address` on (function 16); raises as `read_coils`."""
        self._checked(lambda client: client.write_registers(address, list(values), device_id=self.device_id))

    def _bits(self, call: Callable[[Client], ModbusPDU], count: int) -> list[bool]:
        # The wire has whole bytes of them.
        return list(self._checked(call).bits[:count])

    def _registers(self, call: Callable[[Client], ModbusPDU]) -> list[int]:
        return list(self._checked(call).registers)

    def _checked(self, call: Callable[[Client], ModbusPDU]) -> ModbusPDU:
        with self._lock:
            response = self._carry_out(call)
        if isinstance(response, ExceptionResponse) or response.isError():
            code = response.exception_code
            raise ProtocolError(
                f"{self.place}: device {self.device_id} answered {EXCEPTIONS.get(code, 'exception')} ({code})"
            )
        return response

    def _carry_out(self, call: Callable[[Client], ModbusPDU]) -> ModbusPDU:
        if self._client is None:
            raise ProtocolConnectionError(f"{self.place}: not connected; connect() comes first")
        try:
            if not self._client.connected and not self._client.connect():
                raise ProtocolConnectionError(f"{self.place}: the connection is lost and could not be made again")
            return call(self._client)
        except ModbusIOException as error:
            # What comes late must not be taken for the next answer.
            _close(self._client)
            raise ProtocolTimeoutError(
                f"{self.place}: device {self.device_id} did not answer within {self._timeout:g} s"
                f" and {self._retries} retries"
            ) from error
        except (ConnectionException, OSError) as error:
            _close(self._client)
            raise ProtocolConnectionError(f"{self.place}: {error}") from error
        except (ModbusException, ValueError, TypeError, struct.error) as error:
            raise ProtocolValidationError(f"{self.place}: {error}") from error


def _close(client: Client) -> None:
    client.close()  # type: ignore[no-untyped-call]  # pymodbus's has no annotations


class ModbusTCPProtocol(ModbusProtocol):
    """A Modbus device behind TCP; `rtu_over_tcp` for serial gateways that pass RTU frames through."""

    def __init__(
        self,
        host: str,
        port: int = 502,
        *,
        device_id: int = 1,
        timeout: float = 3.0,
        retries: int = 3,
        rtu_over_tcp: bool = False,
    ) -> None:
        """Make it for one device; `timeout` in seconds for each try.

        Raises:
            ProtocolValidationError: a setting is impossible.
        """
        if not host:
            raise ProtocolValidationError("host must not be empty")
        if not 0 < port <= MAXIMUM_PORT:
            raise ProtocolValidationError(f"port must be 1..{MAXIMUM_PORT}, not {port}")
        super().__init__(f"{host}:{port}", device_id=device_id, timeout=timeout, retries=retries)
        self._host = host
        self._port = port
        self._framer = FramerType.RTU if rtu_over_tcp else FramerType.SOCKET

    @override
    def _make_client(self) -> ModbusTcpClient:
        return ModbusTcpClient(
            self._host, port=self._port, framer=self._framer, timeout=self._timeout, retries=self._retries
        )


class ModbusRTUProtocol(ModbusProtocol):
    """A Modbus device on a serial line."""

    def __init__(
        self,
        port: str,
        baudrate: int = 19_200,
        *,
        bytesize: int = 8,
        parity: str = "N",
        stopbits: int = 1,
        device_id: int = 1,
        timeout: float = 3.0,
        retries: int = 3,
    ) -> None:
        """Make it for one device; parity N, E or O; `timeout` in seconds for each try.

        Raises:
            ProtocolValidationError: a setting is impossible.
        """
        if not port:
            raise ProtocolValidationError("port must not be empty")
        super().__init__(port, device_id=device_id, timeout=timeout, retries=retries)
        self._line = (port, baudrate, bytesize, parity, stopbits)

    @override
    def _make_client(self) -> ModbusSerialClient:
        port, baudrate, bytesize, parity, stopbits = self._line
        return ModbusSerialClient(
            port,
            framer=FramerType.RTU,
            baudrate=baudrate,
            bytesize=bytesize,
            parity=parity,
            stopbits=stopbits,
            timeout=self._timeout,
            retries=self._retries,
        )
