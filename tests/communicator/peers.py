"""The devices that request/response protocols are tested against: real ones in all but the machine."""

import asyncio
import contextlib
import os
import select
import socket
import ssl
import threading
from dataclasses import dataclass, field

from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from development.mosquitto import free_port


def answer(line: bytes, ending: bytes = b"\n") -> bytes:
    """What the test's device says to a line; nothing to b"silence"."""
    if line == b"silence":
        return b""
    if line == b"twice":
        return b"one" + ending + b"two" + ending
    return line.upper() + ending


@dataclass
class Server:
    """A device behind TCP, one thread for each connection."""

    context: ssl.SSLContext | None = None
    ending: bytes = b"\n"
    port: int = 0
    connections: list[socket.socket] = field(default_factory=list)

    def start(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
                if self.context is not None:
                    connection = self.context.wrap_socket(connection, server_side=True)
            except OSError:
                if self.listener.fileno() < 0:
                    return
                continue
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        buffered = b""
        try:
            while data := connection.recv(4096):
                *lines, buffered = (buffered + data).split(self.ending)
                for line in lines:
                    connection.sendall(answer(line, self.ending))
        except OSError:
            pass

    def drop(self) -> None:
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self.connections.clear()

    def stop(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)
        self.drop()


class Line:
    """A device at the other end of a pty."""

    def __init__(self) -> None:
        self.master, slave = os.openpty()
        self.port = os.ttyname(slave)
        self.slave = slave
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        buffered = b""
        while not self.ending.is_set():
            ready, _, _ = select.select([self.master], [], [], 0.05)
            if ready:
                *lines, buffered = (buffered + os.read(self.master, 4096)).split(b"\n")
                for line in lines:
                    os.write(self.master, answer(line))

    def stop(self) -> None:
        self.ending.set()
        self.thread.join(5)
        os.close(self.master)
        os.close(self.slave)


def device() -> SimDevice:
    """16 coils, 16 discrete inputs, and 10 holding and input registers that begin at 100 and 200."""
    return SimDevice(
        1,
        simdata=(
            [SimData(0, values=[False] * 16, datatype=DataType.BITS)],
            [SimData(0, values=[True, False] * 8, datatype=DataType.BITS)],
            [SimData(0, values=list(range(100, 110)), datatype=DataType.REGISTERS)],
            [SimData(0, values=list(range(200, 210)), datatype=DataType.REGISTERS)],
        ),
    )


class ModbusServer:
    """A pymodbus server in a loop of its own."""

    def __init__(self, serial_port: str | None = None, port: int = 0, framer: FramerType = FramerType.SOCKET) -> None:
        self.port = port or free_port()
        self.serial_port = serial_port
        self.framer = framer
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        assert self.ready.wait(10)

    def run(self) -> None:
        self.loop.run_until_complete(self.serve())
        self.loop.close()

    async def serve(self) -> None:
        self.ending = asyncio.Event()
        if self.serial_port is None:
            server: ModbusTcpServer | ModbusSerialServer = ModbusTcpServer(
                device(), framer=self.framer, address=("127.0.0.1", self.port)
            )
        else:
            server = ModbusSerialServer(device(), framer=FramerType.RTU, port=self.serial_port, baudrate=115_200)
        await server.serve_forever(background=True)
        self.ready.set()
        await self.ending.wait()
        listening: object = server.transport
        if isinstance(listening, asyncio.Server):
            # What is being accepted needs its server open: closed first, it would be found without one when collected.
            for each in listening.sockets:
                self.loop.remove_reader(each.fileno())
            if accepting := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(accepting, timeout=5)
        await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus's has no annotations
        if isinstance(listening, asyncio.Server):
            await listening.wait_closed()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.ending.set)
        self.thread.join(10)
