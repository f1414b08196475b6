"""Every complaint about a catalog has its file, its line and a way out; all of them are told at once."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_bridge.catalog.files import CatalogFiles, CatalogSource, read_texts
from data_bridge.catalog.loader import load
from data_bridge.catalog.model import Catalog, CatalogWarning
from data_bridge.catalog.name_templates import NameTemplates
from data_bridge.catalog.rules import read_rules
from data_bridge.yaml_documents import CatalogError

DEVICES = "objects:\n  A: [VM-A]\n"
ENVELOPE = "equip_tag: t, message_id: m"


@pytest.fixture
def files(tmp_path: Path) -> CatalogFiles:
    return CatalogFiles(tmp_path / "mappings.yaml", tmp_path / "devices.yaml")


def loaded(files: CatalogFiles, mappings: str, devices: str = DEVICES) -> Catalog:
    files.mappings.write_text("mappings:\n" + mappings)
    files.devices.write_text(devices)
    return load(files)


def warnings(files: CatalogFiles, mappings: str, devices: str = DEVICES) -> list[tuple[str, int | None, str]]:
    return [(each.path.name, each.line, each.text) for each in loaded(files, mappings, devices).warnings]


def errors(files: CatalogFiles, mappings: str, devices: str = DEVICES) -> list[tuple[str, int | None, str]]:
    with pytest.raises(CatalogError) as caught:
        loaded(files, mappings, devices)
    return [(each.path.name, each.line, each.text) for each in caught.value.every()]


# ---------------------------------------------------------------- warnings


def test_a_warning_names_file_line_and_the_rule_as_it_is_counted_in_the_file(files: CatalogFiles) -> None:
    mappings = f"""\
  - {{{ENVELOPE}, object: A, value_type: float}}
  - {{{ENVELOPE}, object: A, value_type: float}}
  - equip_tag: t
    message_id: n
    object: Nobody
    value_type: float
"""
    assert warnings(files, mappings) == [
        ("mappings.yaml", 3, "mappings[1]: repeats the key of an earlier rule (t, m); the last one wins"),
        ("mappings.yaml", 4, "mappings[2]: Nobody goes to no device: nothing will be sent"),
    ]


def test_unknown_keys_are_told_with_their_lines_and_what_they_may_mean(files: CatalogFiles) -> None:
    mappings = f"""\
  - {{{ENVELOPE}, object: A, value_type: float}}
  - equip_tag: t
    message_id: n
    object: A
    value_type: float
    owner: me
    devicex_class: temperature
"""
    devices = "objects:\n  A: {devices: [VM-A], note: x}\ndevices:\n  VM-A:\n    mqtt:\n      retainx: true\n"
    assert warnings(files, mappings, devices) == [
        ("mappings.yaml", 7, "mappings[1].owner: this key means nothing here"),
        ("mappings.yaml", 8, "mappings[1].devicex_class: this key means nothing here (did you mean 'device_class'?)"),
        ("devices.yaml", 2, "objects.A.note: this key means nothing here"),
        ("devices.yaml", 6, "devices.VM-A.mqtt.retainx: this key means nothing here (did you mean 'retain'?)"),
    ]


def test_an_object_that_no_rule_makes_is_told_with_the_one_that_was_meant(files: CatalogFiles) -> None:
    devices = "objects:\n  A: [VM-A]\n  GPS.Latitudx: [VM-A]\n  Set: {devices: VM-A, value_type: text, access: rw}\n"
    mappings = (
        f"  - {{{ENVELOPE}, object: A, value_type: float}}\n  - {{topic: a, object: GPS.Latitude, value_type: text}}\n"
    )
    assert warnings(files, mappings, devices) == [
        ("mappings.yaml", 3, "mappings[1]: GPS.Latitude goes to no device: nothing will be sent"),
        (
            "devices.yaml",
            3,
            (
                "objects.GPS.Latitudx: no rule makes it and it cannot be set: it never gets a value "
                "(did you mean 'GPS.Latitude'?)"
            ),
        ),
    ]


def test_a_warning_is_printed_as_an_editor_reads_it(files: CatalogFiles) -> None:
    (warning,) = loaded(files, f"  - {{{ENVELOPE}, object: A, value_type: float, x: y}}\n").warnings
    assert str(warning) == f"{files.mappings}:2: mappings[0].x: this key means nothing here"


# ---------------------------------------------------------------- all errors at once


def test_all_errors_of_both_files_are_told(files: CatalogFiles) -> None:
    mappings = f"""\
  - {{{ENVELOPE}, object: A, value_type: floatx}}
  - {{topic: a/#/b, object: A, value_type: float}}
  - {{{ENVELOPE}, object: B, value_type: text, scale: 2}}
  - {{equip_tag: t, message_idx: m, object: C, value_type: float}}
  - {{{ENVELOPE}, objectx: D, value_type: float}}
  - {{topic: e, object: E, value_type: integer}}
  - {{topic: f, object: E, value_type: text}}
"""
    devices = "objects:\n  A: [a/b]\n  B: {devices: [VM-A], access: w}\n  C: {devices: [VM-A, vm-a]}\n"
    told = errors(files, mappings, devices)
    assert [(name, line) for name, line, _ in told] == [
        ("mappings.yaml", 2),
        ("mappings.yaml", 3),
        ("mappings.yaml", 4),
        ("mappings.yaml", 5),
        ("mappings.yaml", 6),
        ("mappings.yaml", 8),
        ("devices.yaml", 2),
        ("devices.yaml", 3),
        ("devices.yaml", 4),
    ]
    texts = [text for _, _, text in told]
    assert "(did you mean 'float'?)" in texts[0]
    assert texts[0].startswith("mappings[0].value_type: 'floatx' is no value type")
    assert "(did you mean 'message_id' by 'message_idx'?)" in texts[3]
    assert "(did you mean 'object' by 'objectx'?)" in texts[4]
    assert texts[7] == "objects.B.access: Input should be 'r' or 'rw', not 'w'"
    assert "differ only in case" in texts[8]


def test_a_file_that_is_no_yaml_hides_no_error_of_the_other(files: CatalogFiles) -> None:
    told = errors(files, "  - {\n", "objects:\n  A: [a/b]\n")
    assert [(name, line) for name, line, _ in told] == [("mappings.yaml", 3), ("devices.yaml", 2)]


def test_an_error_causes_no_other_that_is_none(files: CatalogFiles) -> None:
    told = errors(
        files, f"  - {{{ENVELOPE}, object: A, value_type: floatx, min: 1}}\n", "objects: {A: {devices: D, max: 5}}\n"
    )
    assert [line for _, line, _ in told] == [2]


def test_a_file_full_of_errors_is_told_in_bounds(files: CatalogFiles) -> None:
    told = errors(files, "  - {object: A}\n" * 2000)
    assert len(told) == 101
    assert told[-1][2] == "1900 more errors"


def test_an_egress_topic_of_the_settings_is_not_blamed_on_a_catalog(files: CatalogFiles) -> None:
    rule = f"  - {{{ENVELOPE}, object: A, value_type: float}}\n"
    files.mappings.write_text("mappings:\n" + rule)
    files.devices.write_text(DEVICES)
    with pytest.raises(CatalogError) as caught:
        load(replace(files, egress_topic="iot/ingress"))
    assert str(caught.value).startswith("settings: egress.topic: VM-A would get A at iot/ingress")


def test_a_rule_that_reads_where_values_go_is_the_one_to_blame(files: CatalogFiles) -> None:
    mappings = (
        f"  - {{{ENVELOPE}, object: A, value_type: float}}\n  - {{topic: devices/#, object: B, value_type: text}}\n"
    )
    (told,) = errors(files, mappings)
    assert told[:2] == ("mappings.yaml", 3)
    assert "devices/vm-a/ingress" in told[2]


# ---------------------------------------------------------------- templates, by what they make


def test_templates_alike_that_make_no_known_object_are_no_contradiction(files: CatalogFiles) -> None:
    mappings = """\
  - {topic: a/+, object: "{1}.V", value_type: float, unit: C}
  - {topic: b/+, object: "{1}.V", value_type: integer, unit: F}
"""
    assert warnings(files, mappings) == [
        ("mappings.yaml", 2, "mappings[0]: {1}.V makes no object of devices.yaml: nothing will be sent"),
        ("mappings.yaml", 3, "mappings[1]: {1}.V makes no object of devices.yaml: nothing will be sent"),
        ("devices.yaml", 2, "objects.A: no rule makes it and it cannot be set: it never gets a value"),
    ]


def test_two_units_that_an_object_may_have_are_announced_as_none(files: CatalogFiles) -> None:
    mappings = """\
  - {topic: a/+, object: "{1}.V", value_type: float, unit: C, state_class: measurement}
  - {topic: b/+, object: "{1}.V", value_type: float, unit: F}
"""
    catalog = loaded(files, mappings, "objects:\n  x.V: [VM-A]\n")
    assert (catalog.objects["x.V"].unit, catalog.objects["x.V"].state_class) == (None, "measurement")
    assert [str(each).partition(": ")[2] for each in catalog.warnings] == [
        "objects.x.V: its rules say the unit 'C' and 'F': none is announced; state the unit here",
    ]


def test_the_unit_that_an_object_states_is_its_own(files: CatalogFiles) -> None:
    mappings = """\
  - {topic: a/+, object: "{1}.V", value_type: float, unit: C}
  - {topic: b/+, object: "{1}.V", value_type: float, unit: F}
"""
    catalog = loaded(files, mappings, "objects:\n  x.V: {devices: VM-A, unit: C}\n  y.V: {devices: VM-A, unit: F}\n")
    assert (catalog.objects["x.V"].unit, catalog.objects["y.V"].unit) == ("C", "F")
    assert catalog.warnings == ()


def test_a_template_that_makes_what_another_rule_says_is_text_is_seen(files: CatalogFiles) -> None:
    mappings = """\
  - {topic: special, object: x.V, value_type: text}
  - {topic: a/+, object: "{1}.V", value_type: float}
"""
    (told,) = errors(files, mappings, "objects:\n  x.V: [VM-A]\n")
    assert told[:2] == ("mappings.yaml", 3)
    assert told[2] == (
        "mappings[1]: {1}.V may make x.V a float, but the rule of special makes it text; "
        "a value_type in devices.yaml decides"
    )


def test_two_types_that_an_object_may_have_are_refused_unless_it_says_which(files: CatalogFiles) -> None:
    mappings = """\
  - {topic: a/+, object: "{1}.V", value_type: float}
  - {topic: b/+, object: "{1}.V", value_type: text}
"""
    (told,) = errors(files, mappings, "objects:\n  x.V: [VM-A]\n")
    assert told == (
        "devices.yaml",
        2,
        "objects.x.V: may be float by the rule of a/+ and text by the rule of b/+: give it a value_type",
    )
    catalog = loaded(files, mappings, "objects:\n  x.V: {devices: VM-A, value_type: float}\n")
    assert catalog.objects["x.V"].value_type == "float"
    assert [(each.line, each.text) for each in catalog.warnings] == [
        (3, "mappings[1]: {1}.V makes nothing of its type text in devices.yaml: nothing will be sent"),
    ]


def test_of_templates_that_differ_in_their_topic_alone_one_is_compared_with_a_name(files: CatalogFiles) -> None:
    rules = [
        f'  - {{topic: {value_type}/{number}/+, object: "V{{1}}", value_type: {value_type}}}\n'
        for value_type in ("integer", "float")
        for number in range(50)
    ]
    files.mappings.write_text(f"mappings:\n{''.join(rules)}", "utf-8")
    files.devices.write_text(DEVICES, "utf-8")
    source = CatalogSource(files, read_texts(files))
    models, _ = source.parse()
    templates = NameTemplates(read_rules(models, files, source.findings))
    assert [each.rule.topic for each in templates.rules_for("V7")] == ["integer/0/+", "float/0/+"]


def test_each_template_that_leads_nowhere_is_told_though_another_is_alike(files: CatalogFiles) -> None:
    rules = "".join(f'  - {{topic: bench/{n}/+, object: "V{{1}}", value_type: integer}}\n' for n in range(3))
    told = warnings(files, rules, "objects: {Other: [VM-A]}")
    assert len([text for _, _, text in told if "makes no object" in text]) == 3


@pytest.mark.parametrize(
    ("topic", "template", "made", "not_made"),
    [
        ("a/+", "{1}.V", "x.V", "x/y.V"),
        ("a/#", "{1}.V", "x/y.V", "x/y.W"),
        ("+/+", "{1}.{1}.{2}", "x.x.y", "x.z.y"),
        ("+/+", "room {2}", "room 5", "room"),
    ],
)
def test_a_template_makes_what_its_filter_lets_it(
    files: CatalogFiles, topic: str, template: str, made: str, not_made: str
) -> None:
    rule = f"  - {{topic: {topic}, object: '{template}', value_type: float, unit: C}}\n"
    catalog = loaded(files, rule, f"objects:\n  '{made}': [VM-A]\n  '{not_made}': [VM-A]\n")
    assert catalog.objects[made].unit == "C"
    assert catalog.objects[not_made].unit is None


# ---------------------------------------------------------------- whatever the files hold

words: st.SearchStrategy[object] = st.sampled_from(
    ["A", "x.V", "{1}.V", "float", "text", "a/+", "{value}", "rw", "temperature", "°C", "measurement", "1", "0.5", "#"]
)
leaves: st.SearchStrategy[object] = st.none() | st.integers(-2, 3) | words | st.text(max_size=6)
any_rule = st.fixed_dictionaries(
    {"object": st.sampled_from(["A", "x.V", "{1}.V"]), "value_type": st.sampled_from(["float", "text"])},
    optional={
        "topic": st.sampled_from(["a/+", "b/#", "c"]),
        "equip_tag": st.just("t"),
        "message_id": st.sampled_from(["m", "n"]),
        "enum": st.dictionaries(st.sampled_from(["1", "1.0", "a"]), words, max_size=2),
        **dict.fromkeys(["path", "scale", "unit", "device_class", "state_class", "min", "max", "topics"], leaves),
    },
)
any_entry = st.lists(st.sampled_from(["D", "E"]), max_size=2) | st.fixed_dictionaries(
    {"devices": st.just(["D"])},
    optional=dict.fromkeys(["value_type", "unit", "device_class", "access", "min", "options", "note"], leaves),
)
any_device = st.fixed_dictionaries(
    {}, optional={"mqtt": st.dictionaries(st.sampled_from(["topic", "qos", "payload", "topics"]), leaves)}
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(any_rule, max_size=4),
    st.dictionaries(st.sampled_from(["A", "x.V", "y.V", "z"]), any_entry, max_size=3),
    st.dictionaries(st.sampled_from(["D", "E", "F"]), any_device, max_size=2),
)
def test_everything_that_is_told_has_a_line(
    files: CatalogFiles, rules: list[object], objects: dict[str, object], devices: dict[str, object]
) -> None:
    files.mappings.write_text(json.dumps({"mappings": rules}, indent=1))
    files.devices.write_text(json.dumps({"objects": objects, "devices": devices}, indent=1))
    try:
        told: list[CatalogError | CatalogWarning] = [*load(files).warnings]
    except CatalogError as error:
        told = [*error.every()]
    for each in told:
        assert each.line is not None, str(each)
        lines = each.path.read_text().splitlines()
        assert 1 <= each.line <= len(lines)
