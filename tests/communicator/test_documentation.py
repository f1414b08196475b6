"""Every code block of the documentation runs, against real peers, and prints what the page says it prints."""

import contextlib
import io
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from development.mosquitto import Mosquitto
from tests.communicator.certificates import Authority
from tests.communicator.peers import Line, ModbusServer, Server

PAGES = Path(__file__).parents[2] / "docs" / "communicator"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

Redirect = Callable[[int, int], None]


@pytest.fixture
def redirect(monkeypatch: pytest.MonkeyPatch) -> Redirect:
    """Send what the text says goes to one port to another, so that the text itself stays as it is."""
    ports: dict[int, int] = {}
    original = socket.create_connection

    def create_connection(address: tuple[str, int], *arguments: object, **settings: object) -> socket.socket:
        return original(("127.0.0.1", ports.get(address[1], address[1])), *arguments, **settings)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(socket, "create_connection", create_connection)
    return ports.__setitem__


@pytest.fixture
def line() -> Iterator[Line]:
    running = Line()
    yield running
    running.stop()


def run(text: str, replacements: dict[str, str] | None = None) -> list[tuple[str, str]]:
    """Run a page's Python blocks in one namespace; return (printed, said) for those with a text block behind them."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    compared, printed = [], ""
    for kind, code in BLOCK.findall(text):
        if kind == "python":
            for old, new in (replacements or {}).items():
                code = code.replace(old, new)  # noqa: PLW2901 -- the same block with this test's ports
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(code, "documentation", "exec"), namespace)  # noqa: S102 -- our own pages
            printed = output.getvalue()
        elif kind == "text":
            compared.append((printed, code))
    return compared


def check(page: str, replacements: dict[str, str] | None = None) -> None:
    compared = run((PAGES / page).read_text(encoding="utf-8"), replacements)
    assert compared, f"{page} shows no output"
    for printed, said in compared:
        assert printed == said


@pytest.mark.parametrize("page", ["index.md", "mqtt.md"])
def test_pages_with_a_broker(page: str, broker: Mosquitto, redirect: Redirect) -> None:
    redirect(1883, broker.port)
    check(page)


def test_the_page_of_tcp() -> None:
    server = Server(ending=b"\r\n")
    server.start()
    check("tcp.md", {'"192.168.0.10", 7000': f'"127.0.0.1", {server.port}'})
    server.stop()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="pseudo-terminals are Unix's")
def test_the_page_of_serial_lines(line: Line) -> None:
    check("serial.md", {"/dev/ttyUSB0": line.port})


def test_the_page_of_modbus() -> None:
    server = ModbusServer()
    check("modbus.md", {'"192.168.0.20", 502': f'"127.0.0.1", {server.port}'})
    server.stop()


def test_the_page_of_writing_a_protocol() -> None:
    check("writing-a-protocol.md")


def test_every_page_is_tested() -> None:
    tested = {"index.md", "mqtt.md", "tcp.md", "serial.md", "modbus.md", "writing-a-protocol.md"}
    assert {page.name for page in PAGES.glob("*.md")} == tested


# ---------------------------------------------------------------------- the quick starts in the field, to the letter

FIRST_GENERATION = """
from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol, BrokerConfig, ClientConfig

# 1. 설정 객체 생성
broker_config = BrokerConfig(
    broker_address="broker.example.com",
    port=1883,
    keepalive=60
)
client_config = ClientConfig()

# 2. MQTT 프로토콜 인스턴스 생성
mqtt = MQTTProtocol(broker_config, client_config)

# 3. 연결 (명시적 호출 필요)
mqtt.connect()

# 4. 메시지 콜백 정의
def message_callback(topic: str, payload: bytes):
    print(f"Received: [{topic}] {payload.decode()}")

# 5. 토픽 구독
mqtt.subscribe("test/topic", message_callback, qos=1)

# 6. 메시지 발행
mqtt.publish("test/topic", "Hello MQTT!", qos=1)

# 7. 연결 해제
mqtt.disconnect()
"""

SECOND_GENERATION = """
from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol, MQTTConfig

# 1. 설정 객체 생성
config = MQTTConfig(
    broker_address="localhost",
    port=1883,
    timeout=60
)

# 2. MQTT 프로토콜 인스턴스 생성
mqtt = MQTTProtocol(config)

# 3. 연결
mqtt.connect()

# 4. 메시지 콜백 정의
def message_callback(topic: str, payload: bytes):
    print(f"Received: [{topic}] {payload.decode()}")

# 5. 토픽 구독
mqtt.subscribe("test/topic", message_callback, qos=1)

# 6. 메시지 발행
mqtt.publish("test/topic", "Hello MQTT!", qos=1)

# 7. 연결 해제
mqtt.disconnect()
"""

PLAIN_KEYWORDS = """
from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol

mqtt = MQTTProtocol(
    broker_address="broker.example.com",
    port=1883,
    timeout=60
)
mqtt.connect()
mqtt.subscribe("test/#", callback=lambda topic, payload: print(f"Received: [{topic}] {payload.decode()}"), qos=1)
mqtt.publish("test/topic", b"Hello MQTT!", qos=1, retain=False)
mqtt.unsubscribe("test/other")
mqtt.stop_loop()
mqtt.disconnect()
"""

SECURE = """
from communicator.protocols.mqtt.mqtt_protocol import MQTTProtocol, MQTTConfig

# RFC 준수: 인증 및 TLS 보안 설정
config = MQTTConfig(
    broker_address="secure-broker.example.com",
    port=8883,  # TLS 포트
    username="mqtt_user",
    password="secure_password",
    ca_certs="/path/to/ca.crt",
    timeout=30
)

mqtt = MQTTProtocol(config)

# RFC 준수: Will Message 설정
mqtt.set_will(
    topic="device/status",
    payload="offline",
    qos=1,
    retain=True
)

mqtt.connect()

# RFC 준수: Retained Message 발행
mqtt.publish("device/status", "online", qos=1, retain=True)

mqtt.disconnect()
"""


@pytest.mark.parametrize("code", [FIRST_GENERATION, SECOND_GENERATION, PLAIN_KEYWORDS])
def test_the_quick_starts_of_both_generations_run_to_the_letter(
    code: str, broker: Mosquitto, redirect: Redirect, capsys: pytest.CaptureFixture[str]
) -> None:
    redirect(1883, broker.port)
    before = threading.active_count()
    exec(compile(code, "quick start", "exec"), {})  # noqa: S102 -- the text above
    assert threading.active_count() == before
    # Not every quick start waits for its own message; the broker has it in any case before disconnect returns.
    assert capsys.readouterr().out in ("", "Received: [test/topic] Hello MQTT!\n")


def test_the_secure_quick_start_runs_to_the_letter(
    tmp_path: Path, redirect: Redirect, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path, "authority")
    certificate = authority.server(host="secure-broker.example.com")
    users = {"mqtt_user": "secure_password"}
    with Mosquitto(tmp_path / "broker", users=users, certificate=certificate) as broker:
        redirect(8883, broker.port)
        original = __import__("ssl").SSLContext.load_verify_locations

        def load(context: object, cafile: str) -> None:
            original(context, str(authority.file) if cafile == "/path/to/ca.crt" else cafile)

        monkeypatch.setattr("ssl.SSLContext.load_verify_locations", load)
        exec(compile(SECURE, "quick start", "exec"), {})  # noqa: S102 -- the text above
