"""Settings: a file, the environment over it, secrets from files, and clear complaints."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from data_bridge.reasons import Reason
from data_bridge.settings import Settings, SettingsError, describe
from data_bridge.settings_loader import load_settings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bridge.yaml"


def test_without_anything_there_are_defaults() -> None:
    settings = load_settings(None, {})
    assert (settings.broker.host, settings.broker.port, settings.bridge_id) == ("127.0.0.1", 1883, "main")
    assert settings.ingress.topics == ("iot/ingress",)
    assert settings.ingress.maximum_bytes == 1024 * 1024
    assert settings.delivery.tries == 3


def test_the_environment_wins_over_the_file(path: Path) -> None:
    path.write_text("bridge_id: attic\nbroker: {host: a, port: 1884}\n")
    settings = load_settings(
        path,
        {
            "IOT_DATA_BRIDGE_BRIDGE_ID": "cellar",
            "IOT_DATA_BRIDGE_BROKER_HOST": "b",
            "IOT_DATA_BRIDGE_INGRESS_MAXIMUM_BYTES": "5",
            "IOT_DATA_BRIDGE_INGRESS_TOPICS": "iot/a, iot/b",
            "IOT_DATA_BRIDGE_DEAD_LETTERS_MAXIMUM_ENTRIES": "7",
            "IOT_DATA_BRIDGE_NAME": "",
        },
    )
    assert (settings.bridge_id, settings.broker.host, settings.broker.port) == ("cellar", "b", 1884)
    assert settings.ingress.maximum_bytes == 5
    assert settings.ingress.topics == ("iot/a", "iot/b")
    assert settings.dead_letters.maximum_entries == 7
    assert settings.name == "IoT Data Bridge"


def test_relative_paths_of_a_file_begin_at_the_file(path: Path) -> None:
    path.write_text("catalogs: {mappings: m.yaml}\ndata_directory: d\n")
    settings = load_settings(path, {})
    assert settings.catalogs.mappings == path.parent / "m.yaml"
    assert settings.catalogs.devices == path.parent / "devices.yaml"
    assert settings.dead_letter_path == path.parent / "d" / "dead-letters.sqlite"


def test_a_password_may_be_in_a_file(path: Path) -> None:
    path.write_text("broker: {username: u, password_file: secret}\n")
    (path.parent / "secret").write_text("correct horse\n")
    settings = load_settings(path, {})
    assert settings.broker_password() == "correct horse"
    (path.parent / "secret").unlink()
    with pytest.raises(SettingsError, match=r"broker\.password_file"):
        settings.broker_password()


def test_a_password_is_never_shown() -> None:
    settings = load_settings(None, {"IOT_DATA_BRIDGE_BROKER_PASSWORD": "correct horse"})
    assert settings.broker_password() == "correct horse"
    assert "horse" not in describe(settings) + repr(settings)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("bridge_id: a/b", "bridge_id: 'a/b' must be 1 to 64 letters"),
        ("broker: {port: 0}", "broker.port"),
        ("broker: {hots: a}", "broker.hots"),
        ("ingress: {topics: ['a/#/b']}", "ingress.topics"),
        ("ingress: {topics: ['#']}", "what the bridge itself announces"),
        ("ingress: {topics: ['iot_data_bridge/#']}", "what the bridge itself announces"),
        ("ingress: {topics: ['+/attic/metrics']}\nbridge_id: attic", "what the bridge itself announces"),
        ("ingress: {topics: ['$share/g/+/+/events']}", "what the bridge itself announces"),
        ("announcements: {state_interval: 0.1}", "announcements.state_interval"),
        ("deduplication: {ttl: -1}", "deduplication.ttl"),
        ("[1, 2]", "must hold settings by name"),
        ("a: [", "not valid YAML"),
        ("broker: {password: {a: secret-word}}", "broker.password"),
    ],
)
def test_a_setting_that_cannot_work_is_named(path: Path, text: str, complaint: str) -> None:
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path, {})
    assert complaint in str(caught.value)
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("broker:\n  host: a\n  port: 0\n", ["3: broker.port: "]),
        ("bridge_id: a/b\nbroker:\n  keepalive: -1\n  tls:\n    enabled: maybe\n", ["1: bridge_id: ", "3: ", "5: "]),
        (
            "name: x\nbroker:\n  prt: 1883\n",
            ["3: broker.prt: there is no such setting; broker has"],
        ),
        ("name: x\nbrokers: {}\n", ["2: brokers: there is no such setting; a bridge has"]),
        ("name: x\negress:\n  topic: a/{devicex}\n", ["3: egress.topic: 'a/{devicex}' names {devicex}"]),
        ("name: x\negress:\n  topic: a/+\n", ["3: egress.topic: "]),
        ("name: x\ningress:\n  topics: ['#']\n", ["3: ingress.topics: # would read"]),
        ("name: x\nname: y\n", ["2: has the key 'name' twice"]),
    ],
)
def test_a_complaint_about_the_file_has_its_line(path: Path, text: str, complaints: list[str]) -> None:
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path, {})
    told = str(caught.value).splitlines()
    assert len(told) == len(complaints)
    for complaint, expected in zip(told, complaints, strict=True):
        assert complaint.startswith(f"{path}:{expected}")


@pytest.mark.parametrize(
    ("host", "complaint"),
    [
        (
            "mqtt://broker.local:1883",
            "not a URL; the host of this one is broker.local",
        ),
        ("mqtt://user:s3cret@broker.local", "the host of this one is broker.local"),
        ("broker.local:1883", "must not hold a port: that is broker.port"),
        ("[::1]", "an IPv6 address is written without brackets"),
        ("broker.local/mqtt", "must be a host name or an address"),
        ("my broker", "must be a host name or an address"),
        ("''", "must not be empty"),
    ],
)
def test_a_host_is_no_url(path: Path, host: str, complaint: str) -> None:
    path.write_text(f"broker: {{host: {host if host == "''" else repr(host)}}}\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(path, {})
    assert complaint in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "10.0.0.7", "::1", "fe80::1%eth0", "broker.local", "core-mqtt", "보드"])
def test_a_host_is_a_name_or_an_address(path: Path, host: str) -> None:
    path.write_text(f"broker: {{host: {host!r}}}\n")
    assert load_settings(path, {}).broker.host == host


@pytest.mark.parametrize(
    ("text", "near"),
    [("broker: {prt: 1883}", "port"), ("brokers: {}", "broker"), ("ingress: {topic: a}", "topics"), ("x: 1", None)],
)
def test_a_setting_that_is_nearly_one_is_named(path: Path, text: str, near: str | None) -> None:
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path, {})
    assert str(caught.value).endswith(f" (did you mean {near!r}?)") == (near is not None)


def test_a_key_needs_its_certificate(path: Path) -> None:
    path.write_text("broker:\n  tls: {keyfile: a}\n")
    with pytest.raises(SettingsError, match=r"2: broker\.tls: keyfile needs a certfile"):
        load_settings(path, {})


def test_an_ingress_filter_may_begin_with_a_wildcard(path: Path) -> None:
    path.write_text("ingress: {topics: ['+/ingress']}")
    assert load_settings(path, {}).ingress.topics == ("+/ingress",)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("BROKER", "s3cret", "must be a JSON object; each of its settings also has a variable of its own: "),
        ("BROKER", '["s3cret"]', "must be a JSON object; each of its settings also has a variable of its own: "),
        ("BROKER_TLS", "s3cret", 'must be a JSON object such as {"enabled": false}'),
        ("BROKER", '{"password": ["s3cret"]}', "password: Input should be a valid string"),
        ("BROKER_PORT", "s3cret", "Input should be a valid integer"),
        ("BROKER_TLS_ENABLED", "true", "there is no such setting; broker has host, port, username,"),
        ("BROKER_TLS", '{"on": 1}', "there is no such setting; broker.tls has enabled, ca_certs, certfile, keyfile"),
        ("BROKER_HOTS", "s3cret", "there is no such setting; broker has host, port, username,"),
        ("INGRESS_TOPICS", '["s3cret', "must be names separated by commas or a JSON list"),
        ("LOGGING_LEVEL", "s3cret", "Input should be 'debug', 'info', 'warning' or 'error'"),
        ("DELIVERY", "3", "IOT_DATA_BRIDGE_DELIVERY_TRIES, IOT_DATA_BRIDGE_DELIVERY_BACKOFF"),
        ("BRIDGE_ID", "a/b", "must be 1 to 64 letters"),
    ],
)
def test_a_variable_that_cannot_work_is_named_with_what_is_expected(
    path: Path, name: str, value: str, complaint: str
) -> None:
    path.write_text("broker: {port: 1884}")
    variable = f"IOT_DATA_BRIDGE_{name}"
    with pytest.raises(SettingsError) as caught:
        load_settings(path, {variable: value})
    text = str(caught.value)
    assert text.startswith((f"{variable}: ", f"{variable}.")), text
    assert complaint in text
    assert "s3cret" not in text


def test_a_complaint_about_the_file_does_not_blame_a_variable_that_is_fine(path: Path) -> None:
    path.write_text("broker: {port: 0}")
    with pytest.raises(SettingsError) as caught:
        load_settings(path, {"IOT_DATA_BRIDGE_BROKER_HOST": "a"})
    assert str(caught.value).startswith(f"{path}:1: broker.port: ")


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(SettingsError, match=r"bridge\.yaml: cannot be read"):
        load_settings(path, {})


def test_reasons_to_keep_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text("dead_letters: {keep: [cast_failed, duplicate, nonsense]}")
    with pytest.raises(SettingsError) as caught:
        load_settings(path, {})
    first, second = str(caught.value).splitlines()
    assert "dead_letters.keep.1: 'duplicate' is no reason to skip an input; there are cast_failed, " in first
    assert "dead_letters.keep.2: 'nonsense' is no reason to skip an input" in second


def test_reasons_to_keep_may_come_from_the_environment() -> None:
    settings = load_settings(None, {"IOT_DATA_BRIDGE_DEAD_LETTERS_KEEP": "cast_failed, unknown_key"})
    assert settings.dead_letters.keep == (Reason.CAST_FAILED, Reason.UNKNOWN_KEY)


def test_unless_told_otherwise_every_reason_that_loses_data_is_kept() -> None:
    assert set(Reason) - set(load_settings(None, {}).dead_letters.keep) == {
        Reason.DUPLICATE,
        Reason.NULL_VALUE,
        # Of deliveries, which are always kept.
        Reason.NO_TRANSPORT,
        Reason.REFUSED,
        # Of topics whose rule was taken out of the catalog: nobody wants them any more.
        Reason.UNSUBSCRIBED,
        # Nothing is there any more, says who removes a retained message.
        Reason.CLEARED,
        # Not wanted, says the rule.
        Reason.RETAINED,
        # Dropped unread, for want of room.
        Reason.OVERLOAD,
    }


_NAMES = [*Settings.model_fields, "host", "port", "tls", "ca_certs", "topics", "keep", "topic", "prt"]
_ANY_SETTINGS: st.SearchStrategy[object] = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["#", "a/+", "{device}", "x://y"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@hypothesis_settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_ANY_SETTINGS)
def test_any_settings_are_taken_or_refused_with_their_places(path: Path, document: object) -> None:
    path.write_text(json.dumps(document))
    complaints = ""
    try:
        load_settings(path, {})
    except SettingsError as error:
        complaints = str(error)
    assert all(line.startswith(str(path)) for line in complaints.splitlines())
