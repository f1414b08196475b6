"""Every way in which connect() can fail has its own exception, in time, with host, port and reason and no secret."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from communicator.common.exception import (
    ProtocolAuthenticationError,
    ProtocolCertificateError,
    ProtocolCertificateExpiredError,
    ProtocolCertificateHostError,
    ProtocolCertificateUntrustedError,
    ProtocolClientIdError,
    ProtocolConnectionError,
    ProtocolError,
    ProtocolTimeoutError,
    ProtocolUnavailableError,
    ProtocolValidationError,
    ProtocolVersionError,
)
from communicator.protocols.mqtt.mqtt_protocol import MQTTConfig, MQTTProtocol
from development.mosquitto import Mosquitto, free_port
from tests.communicator.certificates import Authority

SECRET = "correct horse battery"
TIMEOUT = 5.0


def fails(kind: type[ProtocolError], config: MQTTConfig, fast_path: bool = True) -> ProtocolError:
    """Connect, and check what every failure has in common."""
    client = MQTTProtocol(config, fast_path=fast_path)
    started = time.monotonic()
    with pytest.raises(kind) as caught:
        client.connect()
    assert time.monotonic() - started < config.timeout + 2
    assert type(caught.value) is kind
    assert caught.value.host == config.broker_address
    assert caught.value.port == config.port
    assert f"{config.broker_address}:{config.port}" in str(caught.value)
    assert SECRET not in str(caught.value) + repr(caught.value) + repr(config)
    assert not client.is_connected
    assert client.statistics().connect_failures >= 1 or kind is ProtocolTimeoutError
    client.disconnect()
    return caught.value


def config(port: int, **settings: object) -> MQTTConfig:
    return MQTTConfig(**{"broker_address": "127.0.0.1", "port": port, "timeout": TIMEOUT, **settings})  # type: ignore[arg-type]  # any setting


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[int]:
    """A server that answers each connection's first packet with fixed bytes, as no broker here can be made to."""
    answer: bytes | None = request.param
    listener = socket.create_server(("127.0.0.1", 0))
    open_connections: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_connections.append(connection)
            connection.recv(4096)
            if answer is not None:
                connection.sendall(answer)
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)
    for connection in open_connections:
        connection.close()


@pytest.mark.parametrize("version", ["3.1.1", "5.0"])
def test_a_wrong_password_is_an_authentication_error(tmp_path: Path, version: str, fast_path: bool) -> None:
    with Mosquitto(tmp_path, users={"bridge": "right"}) as broker:
        settings = config(broker.port, username="bridge", password=SECRET, protocol_version=version)
        error = fails(ProtocolAuthenticationError, settings, fast_path)
        assert not isinstance(error, ProtocolConnectionError)
        assert "Not authorized" in error.reason


def test_a_wrong_port_is_a_connection_error(fast_path: bool) -> None:
    error = fails(ProtocolConnectionError, config(free_port()), fast_path)
    assert "refused" in error.reason


def test_an_unknown_host_is_a_connection_error() -> None:
    error = fails(ProtocolConnectionError, MQTTConfig("no-such-host.invalid", timeout=TIMEOUT))
    assert "cannot be resolved" in error.reason


def test_an_expired_certificate_has_its_own_exception(tmp_path: Path, fast_path: bool) -> None:
    authority = Authority(tmp_path, "authority")
    with Mosquitto(tmp_path / "broker", certificate=authority.server(expired=True)) as broker:
        error = fails(ProtocolCertificateExpiredError, config(broker.port, ca_certs=str(authority.file)), fast_path)
        assert "expired" in error.reason


def test_an_unknown_authority_has_its_own_exception(tmp_path: Path, fast_path: bool) -> None:
    authority, other = Authority(tmp_path, "authority"), Authority(tmp_path, "other")
    with Mosquitto(tmp_path / "broker", certificate=authority.server()) as broker:
        fails(ProtocolCertificateUntrustedError, config(broker.port, ca_certs=str(other.file)), fast_path)
        # The system's authorities do not know it either.
        fails(ProtocolCertificateUntrustedError, config(broker.port, tls=True), fast_path)


def test_a_certificate_for_another_host_has_its_own_exception(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    with Mosquitto(tmp_path / "broker", certificate=authority.server(host="broker.example")) as broker:
        error = fails(ProtocolCertificateHostError, config(broker.port, ca_certs=str(authority.file)))
        assert isinstance(error, ProtocolCertificateError)


def test_a_missing_client_certificate_is_an_authentication_error(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    with Mosquitto(tmp_path / "broker", certificate=authority.server(require_client=True)) as broker:
        error = fails(ProtocolAuthenticationError, config(broker.port, ca_certs=str(authority.file)))
        assert "certificate" in error.reason


def test_a_client_certificate_lets_in(tmp_path: Path, fast_path: bool) -> None:
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.issue("client")
    with Mosquitto(tmp_path / "broker", certificate=authority.server(require_client=True)) as broker:
        settings = config(
            broker.port, ca_certs=str(authority.file), certfile=str(certificate), keyfile=str(key), tls_version=2
        )
        with MQTTProtocol(settings, fast_path=fast_path) as client:
            assert client.is_connected


def test_verification_can_be_switched_off_for_a_bench(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    with (
        Mosquitto(tmp_path / "broker", certificate=authority.server(expired=True)) as broker,
        MQTTProtocol(config(broker.port, tls=True, tls_insecure=True)) as client,
    ):
        assert client.is_connected


def test_plain_mqtt_on_a_tls_port_is_a_connection_error(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    with Mosquitto(tmp_path / "broker", certificate=authority.server()) as broker:
        fails(ProtocolConnectionError, config(broker.port))


def test_tls_on_a_plain_port_is_a_connection_error(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    with Mosquitto(tmp_path / "broker") as broker:
        fails(ProtocolConnectionError, config(broker.port, ca_certs=str(authority.file), timeout=3.0))


@pytest.mark.parametrize("answering", [b"\x20\x02\x00\x01"], indirect=True)
@pytest.mark.parametrize("version", ["3.1.1", "5.0", None])
def test_a_refused_protocol_version_has_its_own_exception(answering: int, version: str | None, fast_path: bool) -> None:
    fails(ProtocolVersionError, config(answering, protocol_version=version), fast_path)


@pytest.mark.parametrize("answering", [b"\x20\x03\x00\x84\x00"], indirect=True)
def test_a_refused_protocol_version_of_mqtt_5_has_its_own_exception(answering: int, fast_path: bool) -> None:
    fails(ProtocolVersionError, config(answering, protocol_version="5.0"), fast_path)


@pytest.mark.parametrize(
    ("answering", "kind"),
    [
        (b"\x20\x02\x00\x02", ProtocolClientIdError),
        (b"\x20\x02\x00\x03", ProtocolUnavailableError),
        (b"\x20\x02\x00\x04", ProtocolAuthenticationError),
        (b"\x20\x02\x00\x05", ProtocolAuthenticationError),
    ],
    indirect=["answering"],
)
def test_each_return_code_of_3_1_1_has_its_exception(
    answering: int, kind: type[ProtocolError], fast_path: bool
) -> None:
    fails(kind, config(answering, protocol_version="3.1.1"), fast_path)


@pytest.mark.parametrize(
    ("answering", "kind"),
    [
        (b"\x20\x03\x00\x80\x00", ProtocolError),
        (b"\x20\x03\x00\x85\x00", ProtocolClientIdError),
        (b"\x20\x03\x00\x86\x00", ProtocolAuthenticationError),
        (b"\x20\x03\x00\x89\x00", ProtocolUnavailableError),
        (b"\x20\x0a\x00\x8a\x07\x1f\x00\x04spam", ProtocolAuthenticationError),
    ],
    indirect=["answering"],
)
def test_reason_codes_of_5_0_have_their_exceptions(answering: int, kind: type[ProtocolError], fast_path: bool) -> None:
    error = fails(kind, config(answering, protocol_version="5.0"), fast_path)
    assert kind is not ProtocolAuthenticationError or "spam" in error.reason or "86" not in error.reason


@pytest.mark.parametrize("answering", [None], indirect=True)
@pytest.mark.parametrize("mode", ["blocking", "non-blocking"])
def test_a_server_that_says_nothing_ends_in_a_timeout(answering: int, mode: str, fast_path: bool) -> None:
    fails(ProtocolTimeoutError, config(answering, timeout=0.5, mode=mode), fast_path)


@pytest.mark.parametrize("answering", [None], indirect=True)
def test_a_server_that_never_shakes_hands_ends_in_a_timeout(answering: int) -> None:
    fails(ProtocolTimeoutError, config(answering, timeout=0.5, tls=True))


@pytest.mark.parametrize(
    "answering", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\xff\xff\xff\xff\xff\xff"], indirect=True
)
def test_a_server_that_speaks_something_else_is_a_connection_error(answering: int) -> None:
    fails(ProtocolConnectionError, config(answering))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"broker_address": ""}, "broker_address"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"timeout": 0}, "timeout"),
        ({"keepalive": -1}, "keepalive"),
        ({"mode": "sometimes"}, "mode"),
        ({"session_expiry_interval": -1}, "session_expiry_interval"),
        ({"max_reconnect_attempts": -1}, "max_reconnect_attempts"),
        ({"reconnect_initial_delay": 10, "reconnect_max_delay": 1}, "reconnect_initial_delay"),
        ({"heartbeat_check_ratio": 0}, "heartbeat_check_ratio"),
        ({"publish_queue_maxsize": 0}, "publish_queue_maxsize"),
        ({"clean_start": False}, "client_id"),
        ({"protocol_version": "4"}, "protocol_version"),
        ({"password": SECRET}, "username"),
        ({"receive_maximum": 0}, "receive_maximum"),
        ({"max_inflight": 0}, "max_inflight"),
        ({"transport": "pigeon"}, "transport"),
        ({"topic_alias_maximum": -1}, "topic_alias_maximum"),
        ({"default_qos": 3}, "default_qos"),
    ],
)
def test_an_impossible_setting_is_named(settings: dict[str, object], text: str) -> None:
    with pytest.raises(ProtocolValidationError, match=text) as caught:
        MQTTConfig(**{"broker_address": "127.0.0.1", **settings})  # type: ignore[arg-type]  # wrong on purpose
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("setting", ["ca_certs", "certfile"])
def test_a_missing_file_is_named(tmp_path: Path, setting: str) -> None:
    client = MQTTProtocol(config(1883, **{setting: str(tmp_path / "missing.pem")}))
    with pytest.raises(ProtocolValidationError, match=r"missing\.pem"):
        client.connect()
