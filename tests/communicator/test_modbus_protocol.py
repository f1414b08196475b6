"""Modbus TCP and RTU against pymodbus's own server, RTU over a pty pair."""

import logging
import os
import socket
import threading
import tty
from collections.abc import Iterator

import pytest
from pymodbus import FramerType

from communicator.common.exception import (
    ProtocolConnectionError,
    ProtocolError,
    ProtocolTimeoutError,
    ProtocolValidationError,
)
from communicator.protocols.modbus.modbus_protocol import ModbusProtocol, ModbusRTUProtocol, ModbusTCPProtocol
from development.mosquitto import free_port
from tests.communicator.peers import ModbusServer


class Wire:
    """Two ptys with everything written to one read from the other: a null-modem cable."""

    def __init__(self) -> None:
        pairs = [os.openpty(), os.openpty()]
        self.descriptors = [descriptor for pair in pairs for descriptor in pair]
        for descriptor in self.descriptors:
            tty.setraw(descriptor)
        self.ports = [os.ttyname(slave) for _, slave in pairs]
        masters = [master for master, _ in pairs]
        self.ending = threading.Event()
        self.threads = [
            threading.Thread(target=self.carry, args=(masters[side], masters[1 - side]), daemon=True) for side in (0, 1)
        ]
        for thread in self.threads:
            thread.start()

    def carry(self, source: int, target: int) -> None:
        os.set_blocking(source, False)
        while not self.ending.wait(0.001):
            try:
                os.write(target, os.read(source, 4096))
            except BlockingIOError:
                continue

    def stop(self) -> None:
        self.ending.set()
        for thread in self.threads:
            thread.join(5)
        for descriptor in self.descriptors:
            os.close(descriptor)


@pytest.fixture(params=["tcp", "rtu over tcp", "rtu"])
def modbus(request: pytest.FixtureRequest) -> Iterator[ModbusProtocol]:
    wire = Wire() if request.param == "rtu" else None
    framer = FramerType.SOCKET if request.param == "tcp" else FramerType.RTU
    server = ModbusServer(wire.ports[0] if wire else None, framer=framer)
    protocol: ModbusProtocol
    if wire:
        protocol = ModbusRTUProtocol(wire.ports[1], 115_200, timeout=5)
    else:
        protocol = ModbusTCPProtocol("127.0.0.1", server.port, timeout=5, rtu_over_tcp=framer is FramerType.RTU)
    protocol.connect()
    yield protocol
    protocol.disconnect()
    protocol.disconnect()
    server.stop()
    if wire:
        wire.stop()


def test_registers_and_coils_are_read_and_written(modbus: ModbusProtocol) -> None:
    assert modbus.is_connected
    assert modbus.read_holding_registers(0, 3) == [100, 101, 102]
    assert modbus.read_input_registers(2, 2) == [202, 203]
    assert modbus.read_discrete_inputs(0, 3) == [True, False, True]
    modbus.write_registers(0, [7, 65_535])
    assert modbus.read_holding_registers(0, 3) == [7, 65_535, 102]
    modbus.write_coils(1, [True, True])
    assert modbus.read_coils(0, 4) == [False, True, True, False]


def test_a_pdu_is_sent_and_its_response_received(modbus: ModbusProtocol) -> None:
    assert modbus.send(bytes.fromhex("03 0001 0002")) is True
    assert modbus.receive() == bytes.fromhex("03 04 0065 0066")
    # A register that is not there: an exception response, bit 7 of the function code set, code 2.
    modbus.send(bytes.fromhex("03 2000 0001"))
    assert modbus.receive() == bytes.fromhex("83 02")


def test_an_exception_of_the_device_is_named(modbus: ModbusProtocol) -> None:
    with pytest.raises(ProtocolError, match=r"illegal data address \(2\)"):
        modbus.read_holding_registers(8_000, 1)


@pytest.mark.parametrize("pdu", [b"", b"\x03", b"\x63\x00"])
def test_what_is_no_request_is_refused(modbus: ModbusProtocol, pdu: bytes) -> None:
    with pytest.raises(ProtocolValidationError):
        modbus.send(pdu)


def test_a_response_needs_a_request_and_room(modbus: ModbusProtocol) -> None:
    with pytest.raises(ProtocolTimeoutError, match="no request"):
        modbus.receive()
    modbus.send(bytes.fromhex("03 0001 0002"))
    with pytest.raises(ProtocolValidationError, match="6 bytes"):
        modbus.receive(5)
    assert len(modbus.receive(6)) == 6


def test_impossible_values_are_refused(modbus: ModbusProtocol) -> None:
    with pytest.raises(ProtocolValidationError):
        modbus.write_registers(0, [65_536])
    with pytest.raises(ProtocolValidationError):
        modbus.read_holding_registers(0, 200)


def test_a_lost_connection_is_made_again_by_the_next_request() -> None:
    server = ModbusServer()
    modbus = ModbusTCPProtocol("127.0.0.1", server.port, timeout=2, retries=0)
    modbus.connect()
    assert modbus.read_holding_registers(0) == [100]
    server.stop()
    with pytest.raises(ProtocolConnectionError):
        modbus.read_holding_registers(0)
    with pytest.raises(ProtocolConnectionError):
        modbus.read_holding_registers(0)
    server = ModbusServer(port=server.port)
    assert modbus.read_holding_registers(0) == [100]
    modbus.disconnect()
    server.stop()


def test_the_server_of_these_tests_ends_after_the_connections_that_it_is_accepting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(5):
        server = ModbusServer()
        server.loop.set_debug(True)  # a connection that is accepted without a server is told of only then
        clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5)]
        server.stop()
        for client in clients:
            client.close()
    # When it is collected it would raise where nobody can catch it.
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_device_that_is_not_there_is_a_timeout() -> None:
    wire = Wire()
    modbus = ModbusRTUProtocol(wire.ports[1], 115_200, timeout=0.1, retries=0)
    modbus.connect()
    with pytest.raises(ProtocolTimeoutError, match="did not answer"):
        modbus.read_coils(0)
    modbus.disconnect()
    wire.stop()


def test_a_port_that_is_not_there_is_a_connection_error() -> None:
    with pytest.raises(ProtocolConnectionError, match="no connection"):
        ModbusTCPProtocol("127.0.0.1", free_port(), timeout=1).connect()
    with pytest.raises(ProtocolConnectionError):
        ModbusRTUProtocol("/dev/there-is-no-such-port").connect()


def test_nothing_is_sent_before_connect() -> None:
    with pytest.raises(ProtocolConnectionError, match="connect"):
        ModbusTCPProtocol("127.0.0.1").read_coils(0)


@pytest.mark.parametrize(
    "settings", [{"device_id": 256}, {"timeout": 0}, {"retries": -1}, {"host": ""}, {"port": 0}, {"port": 65_536}]
)
def test_an_impossible_setting_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ProtocolValidationError):
        ModbusTCPProtocol(**{"host": "127.0.0.1", **settings})  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ProtocolValidationError):
        ModbusRTUProtocol("")
