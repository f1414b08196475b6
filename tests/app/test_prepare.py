"""What is on the disk after the app's first step, at its first start and at later ones."""

import json
import os
import stat
import tomllib
from pathlib import Path

import pytest
import yaml

from broker.options import OptionsError
from broker.prepare import INTERNAL_LISTENER, PUBLIC_LISTENER, Layout, prepare
from data_bridge.settings_loader import load_settings


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_with_a_secret_is_its_owners_alone(layout: Layout) -> None:
    prepare(layout)
    assert mode(layout.bridge_password) == 0o600
    assert mode(layout.healthcheck_password) == 0o600
    for folder in (layout.bridge_state, layout.data / "mosquitto", layout.runtime / "mosquitto"):
        assert mode(folder) == 0o700
    for path in layout.runtime.rglob("*"):
        if path.is_file():
            assert mode(path) == 0o600, path


def test_the_apps_own_passwords_are_random_and_stay(layout: Layout) -> None:
    prepare(layout)
    first = layout.bridge_password.read_text()
    assert len(first) >= 43  # 32 random bytes in base64
    assert first != layout.healthcheck_password.read_text()
    prepare(layout)
    assert layout.bridge_password.read_text() == first


def test_no_password_is_in_a_rendered_file(layout: Layout) -> None:
    prepare(layout)
    rendered = "".join(path.read_text() for path in layout.runtime.rglob("*") if path.is_file())
    assert "correct: horse " not in rendered
    assert layout.bridge_password.read_text() not in rendered


def test_catalogs_are_seeded_at_the_first_start_only(layout: Layout) -> None:
    notes = prepare(layout)
    for name in ("mappings.yaml", "devices.yaml"):
        assert any(f"{name} was not there" in note for note in notes)
        assert yaml.safe_load((layout.catalogs / name).read_text()) in ({"mappings": []}, {"objects": {}})
    mine = "mappings: [{equip_tag: A, message_id: B, object: C, value_type: int}]\n"
    (layout.catalogs / "mappings.yaml").write_text(mine)
    assert prepare(layout) == []
    assert (layout.catalogs / "mappings.yaml").read_text() == mine


def test_the_bridge_gets_its_settings_as_environment(layout: Layout) -> None:
    prepare(layout)
    given = {path.name: path.read_text() for path in (layout.runtime / "bridge-environment").iterdir()}
    assert given == {
        "IOT_DATA_BRIDGE_BRIDGE_ID": "main",
        "IOT_DATA_BRIDGE_NAME": "IoT Data Bridge",
        "IOT_DATA_BRIDGE_DATA_DIRECTORY": str(layout.data / "bridge"),
        "IOT_DATA_BRIDGE_BROKER_HOST": "127.0.0.1",
        "IOT_DATA_BRIDGE_BROKER_PORT": str(layout.internal.port),
        "IOT_DATA_BRIDGE_BROKER_USERNAME": "bridge",
        "IOT_DATA_BRIDGE_BROKER_PASSWORD_FILE": str(layout.data / "bridge" / "broker-password"),
        "IOT_DATA_BRIDGE_CATALOGS_MAPPINGS": str(layout.catalogs / "mappings.yaml"),
        "IOT_DATA_BRIDGE_CATALOGS_DEVICES": str(layout.catalogs / "devices.yaml"),
        "IOT_DATA_BRIDGE_INGRESS_TOPICS": '["iot/ingress"]',
        "IOT_DATA_BRIDGE_LOGGING_LEVEL": "info",
    }


def test_an_app_without_users_starts_and_says_so(layout: Layout) -> None:
    options = json.loads(layout.options.read_text())
    layout.options.write_text(json.dumps({**options, "users": []}))
    assert "no user is configured, so no device can connect: add one in the app's configuration" in prepare(layout)


def test_wrong_options_change_nothing(layout: Layout) -> None:
    prepare(layout)
    before = (layout.runtime / "mosquitto" / "passwords").read_bytes()
    layout.options.write_text("{}")
    with pytest.raises(OptionsError):
        prepare(layout)
    assert (layout.runtime / "mosquitto" / "passwords").read_bytes() == before


def test_a_link_in_the_bridges_folder_gives_nothing_away(layout: Layout, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch(mode=0o600)
    before = outside.stat()
    layout.bridge_state.mkdir()
    (layout.bridge_state / "link").symlink_to(outside)
    prepare(layout)
    assert (outside.stat().st_uid, outside.stat().st_mode) == (before.st_uid, before.st_mode)
    assert (layout.bridge_state / "link").lstat().st_uid == os.getuid()


def test_the_containers_layout_is_the_manifests() -> None:
    manifest = yaml.safe_load(Path("addon/config.yaml").read_text())
    assert list(manifest["ports"]) == [f"{PUBLIC_LISTENER.port}/tcp"]
    assert INTERNAL_LISTENER.address == "127.0.0.1"
    assert manifest["version"] == tomllib.loads(Path("addon/pyproject.toml").read_text())["project"]["version"]


def test_the_bridge_understands_its_environment(layout: Layout) -> None:
    prepare(layout)
    given = {path.name: path.read_text() for path in (layout.runtime / "bridge-environment").iterdir()}
    settings = load_settings(environment=given)
    assert (settings.bridge_id, settings.name, settings.data_directory) == (
        "main",
        "IoT Data Bridge",
        layout.bridge_state,
    )
    assert (settings.broker.host, settings.broker.port) == ("127.0.0.1", layout.internal.port)
    assert (settings.broker.username, settings.broker_password()) == ("bridge", layout.bridge_password.read_text())
    assert settings.catalogs.mappings == layout.catalogs / "mappings.yaml"
    assert settings.catalogs.devices == layout.catalogs / "devices.yaml"
    assert (settings.ingress.topics, settings.logging.level) == (("iot/ingress",), "info")
