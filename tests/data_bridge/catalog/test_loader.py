"""Both catalog files: every spelling of the field, and every complaint with its file, line and reason."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_bridge.catalog.announcement import announce
from data_bridge.catalog.files import CatalogFiles
from data_bridge.catalog.loader import load
from data_bridge.catalog.model import Catalog
from data_bridge.yaml_documents import CatalogError, line_of, parse

MAPPINGS = """\
mappings:
  - {equip_tag: GPS001, message_id: GLL001, object: GPS.Latitude, value_type: float}
"""
DEVICES = """\
objects:
  GPS.Latitude: [VM-A, VM-C]
"""


@pytest.fixture
def files(tmp_path: Path) -> CatalogFiles:
    return CatalogFiles(tmp_path / "mappings.yaml", tmp_path / "devices.yaml")


def write(files: CatalogFiles, mappings: str = MAPPINGS, devices: str = DEVICES) -> None:
    files.mappings.write_text(mappings)
    files.devices.write_text(devices)


def loaded(files: CatalogFiles, mappings: str = MAPPINGS, devices: str = DEVICES) -> Catalog:
    write(files, mappings, devices)
    return load(files)


def complaint(files: CatalogFiles, mappings: str = MAPPINGS, devices: str = DEVICES) -> CatalogError:
    write(files, mappings, devices)
    with pytest.raises(CatalogError) as caught:
        load(files)
    return caught.value


def warnings(catalog: Catalog) -> str:
    return "\n".join(str(each) for each in catalog.warnings)


def test_the_fielded_catalogs_mean_what_they_say(files: CatalogFiles) -> None:
    catalog = loaded(files)
    (rule,) = catalog.rules
    assert (rule.equip_tag, rule.message_id, rule.object, rule.value_type) == (
        "GPS001",
        "GLL001",
        "GPS.Latitude",
        "float",
    )
    assert catalog.objects["GPS.Latitude"].devices == ("VM-A", "VM-C")
    route = catalog.devices["VM-A"].mqtt
    assert route is not None
    assert (route.topic, route.qos, route.retain) == ("devices/{device}/ingress", 1, False)


@pytest.mark.parametrize(
    ("spelling", "value_type"),
    [
        ("integer", "integer"),
        ("int", "integer"),
        ("float", "float"),
        ("text", "text"),
        ("str", "text"),
        ("boolean", "boolean"),
        ("bool", "boolean"),
        ("Float", "float"),
    ],
)
def test_both_generations_of_value_types(files: CatalogFiles, spelling: str, value_type: str) -> None:
    assert loaded(files, MAPPINGS.replace("float", spelling)).rules[0].value_type == value_type


def test_a_device_with_its_own_routes(files: CatalogFiles) -> None:
    catalog = loaded(
        files,
        devices="""\
objects: {GPS.Latitude: [VM-A, VM-B]}
devices:
  VM-B: {mqtt: {topic: devices/vm-b/ingress, qos: 0}, signalr: {group: engine_group, target: rpmIngress}}
""",
    )
    device = catalog.devices["VM-B"]
    assert device.mqtt is not None
    assert device.mqtt.qos == 0
    assert device.signalr is not None
    assert (device.signalr.group, device.signalr.target) == ("engine_group", "rpmIngress")
    assert "SignalR is not sent" in warnings(catalog)


def test_a_device_on_signalr_alone_is_kept_with_its_case_and_warned_about(files: CatalogFiles) -> None:
    catalog = loaded(files, devices="objects: {GPS.Latitude: VM-X}\ndevices: {VM-X: {signalr: {}}}\n")
    device = catalog.devices["VM-X"]
    assert device.mqtt is None
    assert device.signalr is not None
    assert (device.signalr.group, device.signalr.target) == ("VM-X", "ingress")
    assert "dead letters" in warnings(catalog)


def test_a_payload_that_begins_like_json_and_is_none_is_warned_about(files: CatalogFiles) -> None:
    catalog = loaded(files, devices=DEVICES + "devices: {VM-A: {mqtt: {payload: '{\"v\":{value}'}}}\n")
    assert "begins like JSON and is none (unexpected end of data" in warnings(catalog)


def test_numbers_and_words_stay_what_was_written(files: CatalogFiles) -> None:
    catalog = loaded(
        files,
        "mappings: [{equip_tag: 007, message_id: 1.0, object: GPS.Latitude, value_type: text, enum: {0: off, 1: on}}]",
    )
    (rule,) = catalog.rules
    assert (rule.equip_tag, rule.message_id) == ("007", "1.0")
    assert rule.cast(1) == "on"
    assert catalog.objects["GPS.Latitude"].options == ("off", "on")


def test_the_last_of_duplicate_keys_wins_with_a_warning(files: CatalogFiles) -> None:
    catalog = loaded(files, MAPPINGS + "  - {equip_tag: GPS001, message_id: GLL001, object: Other, value_type: text}\n")
    assert [rule.object for rule in catalog.rules] == ["Other"]
    assert "repeats the key of an earlier rule (GPS001, GLL001); the last one wins" in warnings(catalog)


def test_unknown_keys_are_ignored_with_a_warning(files: CatalogFiles) -> None:
    catalog = loaded(files, MAPPINGS.replace("value_type", "owner: me, value_type"))
    assert "owner" in warnings(catalog)


def test_presentation_may_stand_at_the_rule_or_the_object(files: CatalogFiles) -> None:
    catalog = loaded(
        files,
        MAPPINGS.replace("}", ", unit: °, state_class: measurement}"),
        "objects: {GPS.Latitude: {devices: [VM-A], device_class: distance, access: rw, min: -90, max: 90}}",
    )
    message = orjson.loads(announce(catalog).payload)
    assert message == {
        "version": catalog.version,
        "devices": [
            {
                "id": "VM-A",
                "name": "VM-A",
                "objects": [
                    {
                        "object": "GPS.Latitude",
                        "value_type": "float",
                        "unit": "°",
                        "device_class": "distance",
                        "state_class": "measurement",
                        "access": "rw",
                        "min": -90.0,
                        "max": 90.0,
                        "options": None,
                    }
                ],
            }
        ],
    }


def test_the_version_changes_with_the_content(files: CatalogFiles) -> None:
    first = loaded(files).version
    assert loaded(files).version == first
    assert loaded(files, devices=DEVICES.replace("VM-C", "VM-D")).version != first


@pytest.mark.parametrize(
    ("mappings", "line", "reason", "text"),
    [
        ("mappings: [}", 1, "syntax", "not valid YAML"),
        ("mappings:\n  - {equip_tag: a\n", 3, "syntax", "not valid YAML"),
        ("", None, "invalid", "must hold the key `mappings`"),
        ("rules: []", 1, "invalid", "must hold the key `mappings`; it has 'rules'"),
        ("mappings: 5", 1, "invalid", "must be a list"),
        ("mappings:\n  - {object: A, value_type: int}", 2, "invalid", "needs equip_tag and message_id, or a topic"),
        ("mappings:\n  - {equip_tag: a, message_id: b, value_type: int}", 2, "invalid", "object: Field required"),
        (
            "mappings:\n  - equip_tag: a\n    message_id: b\n    object: A\n    value_type: number",
            5,
            "invalid",
            "'number' is no value type",
        ),
        ("mappings: []\nmappings: []", 2, "duplicate_key", "'mappings' twice"),
        ("a: &x 1\nmappings: *x", 2, "syntax", "alias"),
        ("mappings:\n  - {topic: a/#/b, object: A, value_type: int}", 2, "invalid", "# must be the whole last level"),
        ("mappings:\n  - {topic: a, path: 'x[', object: A, value_type: int}", 2, "invalid", "makes no sense"),
        ("mappings:\n  - {topic: a/+, object: '{2}', value_type: int}", 2, "invalid", "{2}"),
        (
            "mappings:\n  - {equip_tag: a, message_id: b, topic: c, object: A, value_type: int}",
            2,
            "invalid",
            "not both",
        ),
        (
            "mappings:\n  - {equip_tag: a, message_id: b, object: A, value_type: text, scale: 2}",
            2,
            "invalid",
            "scale and offset need",
        ),
        (
            "mappings:\n  - {equip_tag: a, message_id: b, object: A, value_type: float, scale: .inf}",
            2,
            "invalid",
            "scale",
        ),
        (
            "mappings:\n  - {equip_tag: a, message_id: b, object: A, value_type: float, scale: 0,1}",
            2,
            "invalid",
            "mappings[0].scale: 0 makes every value the same",
        ),
        (
            "mappings:\n  - {equip_tag: a, message_id: b, object: A, value_type: float, offset: 0,5}",
            2,
            "invalid",
            "the key '5' has no value: a decimal number has a point, as in 0.5",
        ),
        (
            "mappings:\n  - {equip_tag: a, message_id: b, object: A, value_type: float, scale: 1e999999}",
            2,
            "invalid",
            "scale and offset must be finite numbers of at most 400 digits",
        ),
        (
            "mappings:\n  - {equip_tag: a, message_id: b, object: A, value_type: text, enum: {1: x, 1.0: y}}",
            2,
            "invalid",
            "the enum keys '1' and '1.0' are the same value",
        ),
        (
            "mappings:\n  - {equip_tag: a, message_id: b, object: A, value_type: text, enum: {True: x, 'true': y}}",
            2,
            "invalid",
            "the enum keys 'True' and 'true' are the same value",
        ),
        (
            "mappings:\n  - {equip_tag: a, message_id: b, object: A, value_type: int, enum: {x: y}}",
            2,
            "invalid",
            "'y' is no",
        ),
        (
            "mappings:\n  - {equip_tag: a, message_id: b, object: A, value_type: int, min: 5, max: 1}",
            2,
            "invalid",
            "min 5.0 is above max 1.0",
        ),
        (
            """mappings:
  - {equip_tag: a, message_id: b, object: A, value_type: int}
  - {equip_tag: c, message_id: d, object: A, value_type: text}""",
            3,
            "contradiction",
            "gives A the type text, but an earlier rule integer",
        ),
    ],
)
def test_a_bad_mapping_catalog_is_refused_with_line_and_reason(
    files: CatalogFiles, mappings: str, line: int | None, reason: str, text: str
) -> None:
    error = complaint(files, mappings)
    assert (error.path, error.line, error.reason) == (files.mappings, line, reason), str(error)
    assert text in error.text
    assert str(files.mappings) in str(error)


@pytest.mark.parametrize(
    ("devices", "line", "reason", "text"),
    [
        ("objects: {A: [VM-A, vm-a]}", None, "contradiction", "differ only in case"),
        (
            "objects:\n  GPS.Latitude:\n    devices: [VM-A]\n    value_type: text",
            4,
            "contradiction",
            "mappings.yaml float",
        ),
        ("objects:\n  GPS.Latitude: [a/b]", 2, "invalid", "must not hold a slash"),
        ("objects:\n  GPS.Latitude: [A]\ndevices:\n  A: {mqtt: {topic: iot/ingress}}", 4, "loop", "come back"),
        ("objects:\n  GPS.Latitude: [A]\ndevices:\n  A: {mqtt: {topic: iot_data_bridge/x}}", 4, "loop", "reserved"),
        ("objects:\n  GPS.Latitude: [A]\ndevices:\n  A: {mqtt: {topic: a/+}}", 4, "invalid", "wildcard"),
        ("objects:\n  GPS.Latitude: [A]\ndevices:\n  A: {mqtt: {topic: 'x/{room}'}}", 4, "invalid", "{room}"),
        ("objects:\n  GPS.Latitude: [A]\ndevices:\n  A: {mqtt: {qos: 3}}", 4, "invalid", "qos"),
        ("objects:\n  GPS.Latitude: [A]\ndevices:\n  A: {mqtt: {payload: '{value1}'}}", 4, "invalid", "{value1}"),
        ("objects:\n  X: {devices: [A], value_type: text, min: 3}", 2, "contradiction", "has min or max, but is text"),
        ("objects:\n  X: {devices: [A], value_type: int, options: [a]}", 2, "contradiction", "has options"),
        ("objects:\n  GPS.Latitude: {devices: [A], access: w}", 2, "invalid", "access"),
    ],
)
def test_a_bad_device_catalog_is_refused_with_line_and_reason(
    files: CatalogFiles, devices: str, line: int | None, reason: str, text: str
) -> None:
    error = complaint(files, devices=devices)
    assert (error.path, error.reason) == (files.devices, reason), str(error)
    if line is not None:
        assert error.line == line
    assert text in error.text


def test_a_wildcard_rule_that_reads_what_the_bridge_sends_is_refused(files: CatalogFiles) -> None:
    error = complaint(files, MAPPINGS + "  - {topic: devices/#, object: B, value_type: text}\n")
    assert error.reason == "loop"
    assert "devices/vm-a/ingress" in error.text


@pytest.mark.parametrize(
    "topic",
    ["#", "+/#", "iot_data_bridge/#", "+/+/state/+", "+/main/events", "iot_data_bridge/+/state/VM-A", "$share/g/#"],
)
def test_a_rule_that_reads_what_its_own_output_causes_is_refused(files: CatalogFiles, topic: str) -> None:
    error = complaint(files, MAPPINGS + f"  - {{topic: '{topic}', object: B, value_type: text}}\n")
    assert (error.reason, error.path, error.line) == ("loop", files.mappings, 3)
    assert f"reads {topic}, where the bridge itself publishes (iot_data_bridge/main/" in error.text


@pytest.mark.parametrize("topic", ["+/+/availability", "iot_data_bridge/main/metrics", "+/main/command"])
def test_a_rule_that_reads_what_the_bridge_says_anyway_is_warned_about(files: CatalogFiles, topic: str) -> None:
    catalog = loaded(files, MAPPINGS + f"  - {{topic: {topic}, object: B, value_type: text}}\n")
    assert f"reads {topic}, where the bridge itself talks: iot_data_bridge/main/{topic.split('/')[2]}" in warnings(
        catalog
    )


@pytest.mark.parametrize("topic", ["$SYS/#", "iot_data_bridge/other/state/+", "+/+/status", "+", "sensors/#", "+/+"])
def test_a_rule_that_reads_nothing_of_this_bridge_is_fine(files: CatalogFiles, topic: str) -> None:
    catalog = loaded(files, MAPPINGS + f"  - {{topic: {topic}, object: B, value_type: text}}\n")
    assert "itself" not in warnings(catalog)


def test_a_device_topic_that_a_shared_ingress_reads_is_refused(files: CatalogFiles) -> None:
    write(files)
    with pytest.raises(CatalogError, match=r"itself reads by \$share/group/devices/\+/ingress"):
        load(replace(files, ingress=("$share/group/devices/+/ingress",)))


def test_a_missing_file_is_named(files: CatalogFiles) -> None:
    write(files)
    files.devices.unlink()
    with pytest.raises(CatalogError, match=r"devices\.yaml: cannot be read: No such file") as caught:
        load(files)
    assert caught.value.reason == "unreadable"


def test_a_binary_file_is_no_catalog(files: CatalogFiles) -> None:
    write(files)
    files.mappings.write_bytes(b"\xff\xfe\x00mappings")
    with pytest.raises(CatalogError, match="UTF-8"):
        load(files)


def test_a_catalog_nested_without_end_is_refused(files: CatalogFiles) -> None:
    error = complaint(files, "mappings: " + "[" * 5000 + "]" * 5000)
    assert error.reason == "invalid"
    assert "nested deeper" in error.text


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_any_text_is_yaml_or_refused(text: str) -> None:
    with contextlib.suppress(CatalogError):
        parse(text, Path("catalog.yaml"))


yaml_like: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "mappings",
                    "objects",
                    "devices",
                    "topic",
                    "path",
                    "object",
                    "value_type",
                    "equip_tag",
                    "mqtt",
                    "enum",
                    "A",
                ]
            ),
            children,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(yaml_like, yaml_like)
def test_any_structure_is_a_catalog_or_refused(
    tmp_path_factory: pytest.TempPathFactory, one: object, two: object
) -> None:
    folder = tmp_path_factory.mktemp("catalog")
    files = CatalogFiles(folder / "m.yaml", folder / "d.yaml")
    # JSON is YAML.
    files.mappings.write_bytes(_json({"mappings": one}))
    files.devices.write_bytes(_json({"objects": two}))
    try:
        catalog = load(files)
    except CatalogError:
        return
    assert orjson.loads(announce(catalog).payload)["version"] == catalog.version


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def test_a_catalog_that_no_packet_can_hold_is_announced_as_far_as_it_fits(files: CatalogFiles) -> None:
    lines = "".join(f"  - {{equip_tag: T{n}, message_id: M, object: O{n}, value_type: int}}\n" for n in range(100))
    catalog = loaded(files, "mappings:\n" + lines, "objects:\n" + "".join(f"  O{n}: [A]\n" for n in range(100)))
    announcement = announce(catalog, 2000)
    assert len(announcement.payload) <= 2000
    message = orjson.loads(announcement.payload)
    names = [each["object"] for each in message["devices"][0]["objects"]]
    assert names == [f"O{n}" for n in range(len(names))]
    assert announcement.objects == set(names)
    assert message["omitted"] == announcement.omitted == 100 - len(names) > 0


def test_a_repeated_key_gives_no_template_the_meaning_of_another_rule(files: CatalogFiles) -> None:
    mappings = """\
mappings:
  - {equip_tag: a, message_id: b, object: A, value_type: text}
  - {equip_tag: a, message_id: b, object: A, value_type: text}
  - {topic: s/+/t, path: t, object: "{1}.Temperature", value_type: float, unit: C}
  - {topic: s/+/n, path: n, object: "{1}.Name", value_type: text}
"""
    catalog = loaded(files, mappings, "objects: {A: [VM-A], hall.Temperature: [VM-A], hall.Name: [VM-A]}\n")
    found = {each.name: (each.value_type.value, each.unit) for each in catalog.objects.values()}
    assert found == {"A": ("text", None), "hall.Temperature": ("float", "C"), "hall.Name": ("text", None)}


@pytest.mark.parametrize(
    ("location", "line"),
    [
        ((), 1),
        (("a",), 1),
        (("a", 0), 2),
        (("a", 1, "y"), 4),
        (("a", 1, "y", "z"), 6),
        (("a", 1, "int", "y", "function-after", "z"), 6),
        (("a", 5), 1),
        (("a", 0, "x", "deeper"), 2),
        (("b", "7"), 8),
        (("b", 7), 8),
        (("nothing",), 1),
    ],
)
def test_the_line_of_a_place(location: tuple[str | int, ...], line: int) -> None:
    text = "a:\n  - {x: [1, {q: 2}], y: 3}\n  - x: 5\n    y:\n      w: [[]]\n      z: 6\nb:\n  7: c\n"
    assert line_of(text, location) == line


def test_nothing_has_no_line() -> None:
    assert line_of("", ("a",)) is None


# ---------------------------------------------------------------- topics that no broker takes


@pytest.mark.parametrize(
    "topic_filter", ["$share/g", "$share/g/", "$share//a", "$share/+/a", "a\\nb", "\\u007F", "\\uFFFF", "a#", "a/#/b"]
)
def test_a_filter_that_nobody_can_subscribe_to_is_refused_with_its_line(files: CatalogFiles, topic_filter: str) -> None:
    error = complaint(
        files,
        f'mappings:\n  - {{topic: a, object: A, value_type: text}}\n  - {{topic: "{topic_filter}", object: B, '
        "value_type: text}\n",
        "objects: {A: [D], B: [D]}\n",
    )
    assert (error.path, error.line, error.reason) == (files.mappings, 3, "invalid")
    assert "topic" in error.text


@pytest.mark.parametrize("topic_filter", ["$share/g/a/+", "$share/g/a/#", "$shared", "/", "a//b"])
def test_a_filter_that_a_broker_takes_is_taken(files: CatalogFiles, topic_filter: str) -> None:
    catalog = loaded(
        files, f'mappings:\n  - {{topic: "{topic_filter}", object: A, value_type: text}}\n', "objects: {A: [D]}\n"
    )
    assert [rule.topic for rule in catalog.rules] == [topic_filter]


@pytest.mark.parametrize(
    "devices",
    [
        '  D: {mqtt: {topic: "a\\nb"}}\n',
        '  D: {mqtt: {topic: "a/{object}"}}\n',
        '  D: {mqtt: {topic: ""}}\n',
        '  D: {mqtt: {topic: "a/+"}}\n',
        '  "D\\u0001": {}\n',
    ],
)
def test_a_topic_that_nothing_can_be_published_to_is_refused_with_its_line(files: CatalogFiles, devices: str) -> None:
    error = complaint(
        files,
        'mappings:\n  - {topic: a, object: "A\\x7F", value_type: text}\n',
        'objects:\n  "A\\x7F": [D]\ndevices:\n' + devices,
    )
    assert (error.path, error.line) == (files.devices, 4)
