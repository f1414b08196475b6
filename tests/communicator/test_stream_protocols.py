"""TCP and serial request and response against real peers: a TCP server, and the other end of a pty pair."""

import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from communicator.common.exception import (
    ProtocolConnectionError,
    ProtocolDecodeError,
    ProtocolTimeoutError,
    ProtocolValidationError,
)
from communicator.protocols.stream.framing import DelimiterFraming, LengthFraming
from communicator.protocols.stream.serial_protocol import SerialProtocol
from communicator.protocols.stream.stream_protocol import StreamProtocol
from communicator.protocols.stream.tcp_protocol import TCPProtocol
from development.mosquitto import free_port
from tests.communicator.certificates import Authority
from tests.communicator.peers import Line, Server
from tests.communicator.waiting import wait_for

LINE = DelimiterFraming(b"\n")


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def line() -> Iterator[Line]:
    running = Line()
    yield running
    running.stop()


@pytest.fixture(params=["tcp", "serial"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., StreamProtocol]]:
    made: list[StreamProtocol] = []

    def tcp(**settings: object) -> StreamProtocol:
        made.append(TCPProtocol("127.0.0.1", request.getfixturevalue("server").port, **{"timeout": 5.0, **settings}))  # type: ignore[arg-type]  # any setting
        return made[-1]

    def serial(**settings: object) -> StreamProtocol:
        made.append(SerialProtocol(request.getfixturevalue("line").port, 115_200, **{"timeout": 5.0, **settings}))  # type: ignore[arg-type]  # any setting
        return made[-1]

    if request.param == "tcp":
        request.getfixturevalue("server")
    else:
        request.getfixturevalue("line")
    yield tcp if request.param == "tcp" else serial
    for protocol in made:
        protocol.disconnect()
        protocol.disconnect()


Make = Callable[..., StreamProtocol]


def test_a_request_gets_its_response(make: Make) -> None:
    with make(framing=LINE) as protocol:
        assert protocol.send(b"ping") is True
        assert protocol.receive() == b"PING"
        assert protocol.request(b"pong") == b"PONG"
    assert not protocol.is_connected


def test_two_responses_are_received_one_after_the_other(make: Make) -> None:
    with make(framing=LINE) as protocol:
        protocol.send(b"twice")
        assert protocol.receive() == b"one"
        assert protocol.receive() == b"two"


def test_no_response_is_a_timeout_and_the_connection_stays(make: Make) -> None:
    with make(framing=LINE, timeout=0.2) as protocol:
        protocol.send(b"silence")
        with pytest.raises(ProtocolTimeoutError, match=r"within 0\.2 s"):
            protocol.receive()
        assert protocol.request(b"ping") == b"PING"


def test_a_late_answer_is_not_taken_for_the_next_one(make: Make) -> None:
    with make(framing=LINE) as protocol:
        protocol.send(b"twice")
        assert protocol.receive() == b"one"
        assert protocol.request(b"ping") == b"PING"


def test_without_framing_what_came_is_returned_in_parts(make: Make) -> None:
    with make() as protocol:
        protocol.send(b"abcdef\n")
        received = b""
        while len(received) < 7:
            part = protocol.receive(4)
            assert 0 < len(part) <= 4
            received += part
        assert received == b"ABCDEF\n"


def test_an_answer_that_cannot_be_read_is_refused_and_the_next_request_works(make: Make) -> None:
    with make(framing=DelimiterFraming(b"\n", maximum=8), reconnect_delay=0.01) as protocol:
        with pytest.raises(ProtocolDecodeError):
            protocol.request(b"123456789")
        assert protocol.request(b"ping") == b"PING"


def test_nothing_is_sent_before_connect(make: Make) -> None:
    protocol = make(framing=LINE)
    with pytest.raises(ProtocolConnectionError, match="connect"):
        protocol.send(b"ping")
    with pytest.raises(ProtocolConnectionError, match="not connected"):
        protocol.receive()


def test_a_lost_connection_is_made_again_by_the_next_request(server: Server) -> None:
    with TCPProtocol("127.0.0.1", server.port, framing=LINE, reconnect_delay=0.01) as protocol:
        assert protocol.request(b"ping") == b"PING"
        server.drop()
        with pytest.raises(ProtocolConnectionError):
            protocol.receive()
        assert protocol.request(b"pong") == b"PONG"


def test_a_peer_that_comes_back_late_is_waited_for(server: Server) -> None:
    with TCPProtocol("127.0.0.1", server.port, framing=LINE, reconnect_attempts=20, reconnect_delay=0.02) as protocol:
        assert protocol.request(b"ping") == b"PING"
        server.stop()
        wait_for(lambda: not protocol.is_connected)
        threading.Timer(0.1, server.start).start()
        assert protocol.request(b"ping") == b"PING"


def test_a_peer_that_is_gone_is_a_connection_error(server: Server) -> None:
    with TCPProtocol("127.0.0.1", server.port, framing=LINE, reconnect_attempts=2, reconnect_delay=0.01) as protocol:
        assert protocol.request(b"ping") == b"PING"
        server.stop()
        wait_for(lambda: not protocol.is_connected)
        with pytest.raises(ProtocolConnectionError, match=str(server.port)):
            protocol.request(b"ping")
        server.start()


def test_a_refused_connection_names_host_and_port() -> None:
    port = free_port()
    with pytest.raises(ProtocolConnectionError, match=rf"127\.0\.0\.1:{port}") as caught:
        TCPProtocol("127.0.0.1", port).connect()
    assert caught.value.host == "127.0.0.1"
    assert caught.value.port == port


def test_tls_is_checked(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path, "authority"), Authority(tmp_path, "other")
    certificate, key = authority.issue("device")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    running = Server(context)
    running.start()
    trusting = ssl.create_default_context(cafile=str(authority.file))
    with TCPProtocol("127.0.0.1", running.port, framing=LINE, tls=trusting) as protocol:
        assert protocol.request(b"ping") == b"PING"
    protocol = TCPProtocol("127.0.0.1", running.port, tls=ssl.create_default_context(cafile=str(other.file)))
    with pytest.raises(ProtocolConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        protocol.connect()
    protocol.disconnect()
    running.stop()


def test_a_thread_each_gets_its_own_answer(make: Make) -> None:
    wrong: list[bytes] = []
    with make(framing=LINE) as protocol:

        def ask(number: int) -> None:
            for turn in range(20):
                question = b"q%d-%d" % (number, turn)
                if protocol.request(question) != question.upper():
                    wrong.append(question)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert wrong == []


def test_a_serial_port_that_is_not_there_is_a_connection_error(tmp_path: Path) -> None:
    with pytest.raises(ProtocolConnectionError, match="missing"):
        SerialProtocol(str(tmp_path / "missing")).connect()


def test_a_serial_device_that_is_unplugged_is_a_connection_error() -> None:
    running = Line()
    protocol = SerialProtocol(running.port, framing=LINE, timeout=2.0, reconnect_attempts=0)
    protocol.connect()
    assert protocol.request(b"ping") == b"PING"
    running.stop()
    with pytest.raises(ProtocolConnectionError):
        protocol.request(b"ping")
    protocol.disconnect()


@pytest.mark.parametrize(
    "make_impossible",
    [
        lambda: TCPProtocol("", 1),
        lambda: TCPProtocol("host", 0),
        lambda: TCPProtocol("host", 1, timeout=0),
        lambda: TCPProtocol("host", 1, reconnect_attempts=-1),
        lambda: TCPProtocol("host", 1, reconnect_delay=-1),
        lambda: SerialProtocol(""),
        lambda: SerialProtocol("/dev/null", baudrate=-1),
        lambda: SerialProtocol("/dev/null", parity="X"),
        lambda: TCPProtocol("host", 1, framing=LengthFraming(3)),
    ],
)
def test_an_impossible_setting_is_refused(make_impossible: Callable[[], object]) -> None:
    with pytest.raises(ProtocolValidationError):
        make_impossible()
