"""The commands that need no broker."""

from pathlib import Path

import orjson
import pytest

from data_bridge.cli.main import main
from data_bridge.dead_letters.store import DeadLetterStore
from tests.data_bridge.conftest import EXAMPLES

MESSAGE = '{"header":{"UUID":"u1"},"payload":{"Equip.Tag":"GPS001","Message.ID":"GLL001","VALUE":"37.5"}}'


@pytest.fixture
def config(tmp_path: Path) -> str:
    for name in ("bridge.yaml", "mappings.yaml", "devices.yaml"):
        (tmp_path / name).write_bytes((EXAMPLES / name).read_bytes())
    return str(tmp_path / "bridge.yaml")


def test_check_finds_the_examples_good(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", config]) == 0
    assert "ok: 6 rules, 7 objects, 3 devices, 1 warnings" in capsys.readouterr().out
    assert main(["check", "--strict", "--config", config]) == 1


def test_check_says_where_a_catalog_is_wrong(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    mappings = Path(config).parent / "mappings.yaml"
    mappings.write_text("mappings:\n  - {object: A}\n")
    assert main(["check", "--config", config]) == 1
    assert f"error: {mappings}:2: " in capsys.readouterr().out


def test_check_prints_every_error(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    mappings = Path(config).parent / "mappings.yaml"
    mappings.write_text("mappings:\n  - {object: A}\n  - {topic: a, object: B, value_type: floatx}\n")
    assert main(["check", "--config", config]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(" ", 2)[1] for line in printed] == [f"{mappings}:2:", f"{mappings}:3:"]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("broker:\n  password_file: missing", "2: broker.password_file: "),
        ("broker:\n  tls:\n    enabled: true\n    ca_certs: missing", "2: broker.tls: ca_certs "),
        ("broker:\n  tls: {ca_certs: mappings.yaml}", "2: broker.tls: ca_certs "),
        ("broker:\n  tls: {certfile: devices.yaml}", "2: broker.tls: certfile "),
    ],
)
def test_check_fails_where_a_file_of_the_connection_cannot_be_used(
    config: str, capsys: pytest.CaptureFixture[str], settings: str, complaint: str
) -> None:
    Path(config).write_text(settings)
    assert main(["check", "--config", config]) == 1
    assert f"error: {config}:{complaint}" in capsys.readouterr().out


def test_a_loop_through_the_settings_is_told_with_their_line(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(config).write_text("name: x\negress:\n  topic: iot/ingress\n")
    assert main(["check", "--config", config]) == 1
    assert f"error: {config}:3: egress.topic: VM-A would get" in capsys.readouterr().out


def test_try_prints_every_layers_output(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try", MESSAGE, "--config", config]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in lines] == ["IngressEvent", "MappedEvent", "ResolvedEvent", "Delivery", "Delivery"]
    assert orjson.loads(lines[1][1]) == {"object": "GPS.Latitude", "value": 37.5, "value_type": "float"}
    assert orjson.loads(lines[3][1])["payload"] == '{"object":"GPS.Latitude","value":37.5}'


def test_try_says_why_a_message_is_skipped(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try", "{", "--config", config]) == 1
    assert "invalid_json" in capsys.readouterr().out
    assert main(["try", '{"data":{}}', "--topic", "sensors/hall/climate", "--config", config]) == 1
    assert "missing_field" in capsys.readouterr().out


def test_settings_that_cannot_work_are_one_line_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bridge.yaml").write_text("broker: {port: 99999}")
    assert main(["check", "--config", str(tmp_path / "bridge.yaml")]) == 2
    assert "broker.port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("action", "printed", "code"),
    [("replay", "there is no dead letter 99", 1), ("purge", "1 of them are not in the store", 0)],
)
def test_a_dead_letter_that_there_is_not_is_told(
    config: str, capsys: pytest.CaptureFixture[str], action: str, printed: str, code: int
) -> None:
    store = DeadLetterStore(Path(config).parent / "data" / "dead-letters.sqlite", 100, 1024 * 1024)
    store.close()
    assert main(["dead-letters", action, "99", "--config", config]) == code
    assert printed in capsys.readouterr().err


def test_a_reason_that_there_is_not_is_told_with_the_nearest(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["dead-letters", "list", "--reason", "unknown-key", "--config", config])
    assert "there is no reason 'unknown-key' (did you mean 'unknown_key'?)" in capsys.readouterr().err


def test_health_of_a_bridge_that_never_ran(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", "--config", config]) == 1
    assert "does not run" in capsys.readouterr().out
