"""Options as the Supervisor writes them, and every way to get them wrong."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.options import OptionsError, read_options

VALID: dict[str, object] = {
    "users": [{"username": "sensor", "password": "secret-of-sensor"}],
    "bridge_id": "main",
    "bridge_name": "Factory 1",
    "ingress_topics": ["iot/ingress", "sensors/+/climate"],
    "log_level": "info",
}


def write(folder: Path, **changes: object) -> Path:
    path = folder / "options.json"
    path.write_text(json.dumps({**VALID, **changes}))
    return path


def test_every_option_is_read(tmp_path: Path) -> None:
    options = read_options(write(tmp_path))
    assert options.users[0].username == "sensor"
    assert options.users[0].password.get_secret_value() == "secret-of-sensor"
    assert options.bridge_id == "main"
    assert options.bridge_name == "Factory 1"
    assert options.ingress_topics == ("iot/ingress", "sensors/+/climate")
    assert options.log_level == "info"


def test_an_option_of_an_older_version_is_ignored(tmp_path: Path) -> None:
    assert read_options(write(tmp_path, anonymous=True)).bridge_id == "main"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"users": [{"username": "a b", "password": "hidden"}]}, r"users\.0\.username: .*pattern"),
        ({"users": [{"username": "sensor\n", "password": "hidden"}]}, r"users\.0\.username: .*pattern"),
        ({"users": [{"username": "sensor", "password": ""}]}, r"users\.0\.password: .*at least 1"),
        ({"users": [{"username": "bridge", "password": "hidden"}]}, "bridge is the app's own; choose another"),
        ({"users": [{"username": "a", "password": "hidden"}] * 2}, "a is there twice; choose another"),
        ({"bridge_id": "a/b"}, "bridge_id: .*pattern"),
        ({"bridge_name": "two\nlines"}, "bridge_name: .*pattern"),
        ({"ingress_topics": []}, "ingress_topics: .*at least 1"),
        ({"log_level": "trace"}, "log_level: .*'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_a_wrong_option_is_named_with_its_reason(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(OptionsError, match=said):
        read_options(write(tmp_path, **changes))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match=r"options\.json cannot be read: No such file"):
        read_options(tmp_path / "options.json")


@given(password=st.text(min_size=12), username=st.text(max_size=20))
def test_no_error_tells_a_password(tmp_path_factory: pytest.TempPathFactory, password: str, username: str) -> None:
    path = tmp_path_factory.mktemp("options") / "options.json"
    path.write_text(json.dumps({**VALID, "users": [{"username": username + "!", "password": password}]}))
    with pytest.raises(OptionsError) as raised:
        read_options(path)
    assert password not in str(raised.value)
    assert raised.value.__context__ is None


@given(content=st.binary(max_size=200))
def test_any_other_file_is_an_options_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("options") / "options.json"
    path.write_bytes(content)
    with pytest.raises(OptionsError):
        read_options(path)
