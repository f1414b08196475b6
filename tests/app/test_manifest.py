"""The app's manifest and all that Home Assistant shows of it: what the Supervisor accepts, what the linter asks for."""

import json
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from broker.options import read_options

APP = Path("addon")
MANIFEST = yaml.safe_load((APP / "config.yaml").read_text())
LANGUAGES = ("en", "ko")

# Supervisor 2026.08, supervisor/apps/validate.py: every key it knows, and its default where there is one. It removes
# any other key without a word, and the app linter refuses a key that says what is the default.
NO_DEFAULT = object()
KEYS: dict[str, object] = {
    **dict.fromkeys(
        (
            *(
                "name",
                "version",
                "slug",
                "description",
                "arch",
                "machine",
                "url",
                "ports",
                "ports_description",
                "webui",
            ),
            *(
                "ingress_entry",
                "panel_title",
                "homeassistant",
                "devices",
                "map",
                "environment",
                "privileged",
                "services",
            ),
            *("discovery", "backup_exclude", "backup_pre", "backup_post", "image", "ulimits", "breaking_versions"),
        ),
        NO_DEFAULT,
    ),
    **dict.fromkeys(
        (
            *(
                "ingress",
                "ingress_stream",
                "host_network",
                "host_pid",
                "host_ipc",
                "host_uts",
                "host_dbus",
                "udev",
                "tmpfs",
            ),
            *("full_access", "audio", "video", "gpio", "usb", "uart", "devicetree", "kernel_modules", "realtime"),
            *("hassio_api", "homeassistant_api", "stdin", "legacy", "docker_api", "auth_api", "journald"),
        ),
        False,
    ),
    "init": True,
    "apparmor": True,
    "panel_admin": True,
    "startup": "application",
    "boot": "auto",
    "stage": "stable",
    "hassio_role": "default",
    "backup": "hot",
    "ingress_port": 8099,
    "panel_icon": "mdi:puzzle",
    "timeout": 10,
    "options": {},
    "schema": {},
}
# Supervisor 2026.08, supervisor/apps/options.py.
ELEMENT = re.compile(
    r"(bool|email|url|port|device(\(subsystem=[a-z]+\))?|(str|password)(\(\d*,\d*\))?|int(\(-?\d*,-?\d*\))?"
    r"|float(\([-\d.]*,[-\d.]*\))?|match\(.*\)|list\(.+\))\??"
)


def elements(schema: object) -> list[str]:
    """Return every type of a schema, however deep."""
    if isinstance(schema, dict):
        return [element for value in schema.values() for element in elements(value)]
    if isinstance(schema, list):
        return elements(schema[0])
    return [str(schema)]


def test_every_key_is_known_and_says_something() -> None:
    assert set(MANIFEST) <= set(KEYS)
    assert [key for key, value in MANIFEST.items() if value == KEYS[key]] == []


def test_the_required_keys_are_there() -> None:
    assert {"name", "version", "slug", "description", "arch"} <= set(MANIFEST)
    assert re.fullmatch(r"[-_.A-Za-z0-9]+", MANIFEST["slug"])
    assert MANIFEST["arch"] == ["aarch64", "amd64"]


def test_s6_is_the_first_process_and_gets_its_time_to_stop() -> None:
    assert MANIFEST["init"] is False
    kills = [int(path.read_text()) for path in APP.glob("rootfs/etc/s6-overlay/s6-rc.d/*/timeout-kill")]
    assert sum(kills) < MANIFEST["timeout"] * 1000


def test_no_port_of_the_machine_is_taken_unasked() -> None:
    assert set(MANIFEST["ports"].values()) == {None}


def test_nothing_is_declared_that_nothing_serves() -> None:
    assert not {"ingress", "discovery", "services", "auth_api", "hassio_api", "webui", "watchdog"} & set(MANIFEST)


def test_catalogs_are_files_of_the_apps_own_folder() -> None:
    assert MANIFEST["map"] == [{"type": "app_config", "read_only": False}]


def test_there_is_one_manifest_and_no_build_file() -> None:
    listed = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True)  # noqa: S607 -- whichever git
    names = listed.stdout.splitlines()
    assert [name for name in names if Path(name).name in {"config.yaml", "config.yml", "config.json"}] == [
        "addon/config.yaml"
    ]
    assert [name for name in names if re.search(r"(^|/)build\.(ya?ml|json)$", name)] == []


def test_options_and_schema_name_the_same() -> None:
    assert set(MANIFEST["options"]) == set(MANIFEST["schema"])
    for element in elements(MANIFEST["schema"]):
        assert ELEMENT.fullmatch(element), element


def test_the_app_starts_with_the_default_options(tmp_path: Path) -> None:
    path = tmp_path / "options.json"
    path.write_text(json.dumps(MANIFEST["options"]))
    options = read_options(path)
    assert options.users == ()
    assert options.ingress_topics == ("iot/ingress",)


@given(
    username=st.from_regex(
        re.compile(MANIFEST["schema"]["users"][0]["username"].removeprefix("match(").removesuffix(")")), fullmatch=True
    ),
    password=st.text(min_size=1, max_size=1024),
    topics=st.lists(st.text(min_size=1, max_size=40), min_size=1),
    level=st.sampled_from(MANIFEST["schema"]["log_level"].removeprefix("list(").removesuffix(")").split("|")),
)
def test_what_the_schema_allows_the_app_takes(
    tmp_path_factory: pytest.TempPathFactory, username: str, password: str, topics: list[str], level: str
) -> None:
    path = tmp_path_factory.mktemp("options") / "options.json"
    # The Supervisor's match() takes a line end after the name, ours does not; the app's own names are ours to refuse.
    username = username.rstrip("\n") + "-1"
    users = [{"username": username[-64:], "password": password}]
    path.write_text(json.dumps({**MANIFEST["options"], "users": users, "ingress_topics": topics, "log_level": level}))
    options = read_options(path)
    assert (options.users[0].username, options.users[0].password.get_secret_value()) == (username[-64:], password)
    assert options.ingress_topics == tuple(topics)
    assert options.log_level == level


def named(translation: dict[str, dict[str, object]]) -> dict[str, list[str]]:
    """Return the options of a translation, each with the names of its fields."""
    fields = {key: value.get("fields", {}) for key, value in translation.items()}
    return {key: sorted(value) for key, value in fields.items() if isinstance(value, dict)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_option_and_port_is_explained(language: str) -> None:
    translation = yaml.safe_load((APP / "translations" / f"{language}.yaml").read_text())
    schema = MANIFEST["schema"]
    assert named(translation["configuration"]) == {
        key: sorted(value[0]) if isinstance(value, list) and isinstance(value[0], dict) else []
        for key, value in schema.items()
    }
    assert set(translation["network"]) == set(MANIFEST["ports"])
    assert set(translation) == {"configuration", "network"}
    options = translation["configuration"].values()
    for entry in [*options, *(field for option in options for field in option.get("fields", {}).values())]:
        assert set(entry) <= {"name", "description", "fields"}
        assert entry["name"]
        assert entry["description"]


def test_korean_is_korean() -> None:
    translation = yaml.safe_load((APP / "translations" / "ko.yaml").read_text())
    for entry in translation["configuration"].values():
        assert re.search("[가-힣]", entry["name"])
        assert re.search("[가-힣]", entry["description"])


@pytest.mark.parametrize(("name", "size"), [("icon.png", (128, 128)), ("logo.png", (250, 100))])
def test_pictures_have_the_stores_size(name: str, size: tuple[int, int]) -> None:
    content = (APP / name).read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == size


def test_documentation_and_changelog_speak_of_this_version() -> None:
    assert f"## {MANIFEST['version']}\n" in (APP / "CHANGELOG.md").read_text()
    documentation = (APP / "DOCS.md").read_text()
    assert [option for option in MANIFEST["schema"] if f"`{option}`" not in documentation] == []


def test_apparmor_has_one_profile_at_the_start_of_a_line() -> None:
    profiles = re.findall(r"^profile ([^ ]+).*$", (APP / "apparmor.txt").read_text(), flags=re.MULTILINE)
    assert profiles == [MANIFEST["slug"]]


def test_apparmor_can_read_the_profile() -> None:
    parser = shutil.which("apparmor_parser", path="/usr/sbin:/sbin:/usr/bin")
    if parser is None:
        pytest.skip("apparmor_parser is not installed (apt-get install apparmor); the form of the file is tested above")
    # -Q: not into a kernel, -K: no cache.
    command = [parser, "-Q", "-K", str(APP / "apparmor.txt")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- our own arguments
    assert found.returncode == 0, found.stderr


def test_the_image_installs_pinned_wheels_only() -> None:
    dockerfile = (APP / "Dockerfile").read_text()
    assert dockerfile.startswith("ARG BUILD_FROM=ghcr.io/home-assistant/base-debian:trixie\n")
    assert 'io.hass.type="app"' in dockerfile
    for name in ("requirements.txt", "build-requirements.txt"):
        pinned = re.split(r"(?<!\\)\n(?=\S)", re.sub(r"^ *#.*\n", "", (APP / name).read_text(), flags=re.MULTILINE))
        for requirement in filter(None, map(str.strip, pinned)):
            assert re.match(r"[A-Za-z0-9._-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", requirement, flags=re.DOTALL), (
                requirement
            )
    for line in re.sub(r"\\\n", " ", dockerfile).splitlines():
        for command in re.findall(r"pip (?:--python \S+ )?install [^&]*", line):
            assert "--require-hashes --only-binary :all:" in command or "--no-index" in command, command
