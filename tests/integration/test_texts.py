"""The words: English and Korean say the same things, and nothing is left without a word."""

import json
import re
from pathlib import Path
from string import Formatter

import pytest
import voluptuous as vol
import yaml
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import selector

from custom_components.iot_data_bridge.devices.basket import Problem
from custom_components.iot_data_bridge.devices.basket_events import EventKind
from custom_components.iot_data_bridge.devices.printer import PrinterState

FOLDER = Path(__file__).parents[2] / "custom_components" / "iot_data_bridge"
# What hassfest asks of keys, and what it forbids in texts: HTML, addresses, placeholders in single quotes.
KEY = re.compile(r"(?!.+[_-]{2})(?![_-])[a-z0-9_-]+(?<![_-])")
FORBIDDEN = re.compile(r"<[a-z/][^>]*>|\b\w+://|\bwww\.|'{\w+}'", re.IGNORECASE)
PLACEHOLDER = re.compile(r"\{(\w+)\}")

type Texts = dict[str, Texts | str]


def flat(texts: Texts, path: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in texts.items():
        found |= flat(value, f"{path}/{key}") if isinstance(value, dict) else {f"{path}/{key}": value}
    return found


@pytest.fixture(scope="module")
def english() -> dict[str, str]:
    return flat(json.loads((FOLDER / "translations" / "en.json").read_text()))


@pytest.fixture(scope="module")
def korean() -> dict[str, str]:
    return flat(json.loads((FOLDER / "translations" / "ko.json").read_text()))


def test_both_languages_have_the_same_keys(english: dict[str, str], korean: dict[str, str]) -> None:
    assert korean.keys() == english.keys()


def test_both_languages_have_the_same_placeholders(english: dict[str, str], korean: dict[str, str]) -> None:
    differing = {
        key for key, text in english.items() if set(PLACEHOLDER.findall(text)) != set(PLACEHOLDER.findall(korean[key]))
    }
    assert differing == set()


def test_korean_is_korean(english: dict[str, str], korean: dict[str, str]) -> None:
    same = {key for key, text in english.items() if korean[key] == text}
    assert same == {
        "/title",
        "/config/flow_title",
        "/entity/binary_sensor/object/name",
        "/entity/sensor/object/name",
    }


def test_no_text_refers_to_another(english: dict[str, str]) -> None:
    assert not [text for text in english.values() if "[%key" in text]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_no_text_breaks_a_rule_of_hassfest(language: str) -> None:
    texts = flat(json.loads((FOLDER / "translations" / f"{language}.json").read_text()))
    for path, text in texts.items():
        assert all(KEY.fullmatch(level) for level in path[1:].split("/")), path
        assert text == text.strip(), path
        assert not FORBIDDEN.search(text), path
        fields = {field for _, field, _, _ in Formatter().parse(text) if field}
        assert all(field.isidentifier() for field in fields), path


def test_every_description_of_a_field_has_its_field(english: dict[str, str]) -> None:
    described = {path for path in english if "/data_description/" in path}
    assert described
    assert not [path for path in described if path.replace("/data_description/", "/data/") not in english]


def test_every_action_keeps_the_rules_of_hassfest() -> None:
    field = vol.Schema(
        {
            vol.Optional("default"): vol.Any(bool, int, str),
            vol.Optional("example"): vol.Any(int, str),
            vol.Optional("required"): bool,
            vol.Required("selector"): selector.validate_selector,
        }
    )
    # Later versions of Home Assistant drop the description of an action whose target filters devices.
    target = vol.Schema({vol.Required("entity"): dict, vol.Optional("primary_entities_only"): bool})
    action = vol.Schema({vol.Optional("target"): target, vol.Required("fields"): {cv.slug: field}})
    for name, description in yaml.safe_load((FOLDER / "services.yaml").read_text()).items():
        cv.slug(name)
        action(description)
        if "target" in description:
            selector.validate_selector({"target": description["target"]})


def test_every_event_problem_and_state_has_a_name(english: dict[str, str]) -> None:
    events = "/entity/event/activity/state_attributes/event_type/state/"
    problems = "/entity/binary_sensor/problem/state_attributes/reason/state/"
    states = "/entity/sensor/state/state/"
    for prefix, kinds in ((events, EventKind), (problems, Problem), (states, PrinterState)):
        assert {key.removeprefix(prefix) for key in english if key.startswith(prefix)} == {kind.value for kind in kinds}


def test_every_event_has_a_sentence_for_the_activity_log(english: dict[str, str]) -> None:
    assert {kind for kind in EventKind if f"/common/activity_{kind}" not in english} == set()


def test_every_action_and_field_has_words_and_every_action_an_icon(english: dict[str, str]) -> None:
    actions = yaml.safe_load((FOLDER / "services.yaml").read_text())
    icons = json.loads((FOLDER / "icons.json").read_text())
    assert set(icons["services"]) == set(actions)
    for action, description in actions.items():
        assert f"/services/{action}/name" in english
        for field in description["fields"]:
            assert f"/services/{action}/fields/{field}/description" in english


def test_every_error_of_a_price_list_has_words_where_it_is_shown(english: dict[str, str]) -> None:
    source = "".join(path.read_text() for path in FOLDER.rglob("*.py"))
    reasons = set(re.findall(r'PriceListError\("(\w+)"', source))
    assert reasons
    assert {reason for reason in reasons if f"/options/error/{reason}" not in english} == set()


def test_every_error_of_an_action_has_words(english: dict[str, str]) -> None:
    source = "".join(path.read_text() for path in FOLDER.rglob("*.py"))
    keys = set(re.findall(r'\binvalid\("(\w+)"', source))
    keys |= set(re.findall(r'Error\(\s*translation_domain=DOMAIN,\s*translation_key="(\w+)"', source))
    assert len(keys) > 10
    assert {key for key in keys if f"/exceptions/{key}/message" not in english} == set()


def test_the_manifest_is_in_the_order_that_hassfest_wants() -> None:
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    keys = list(manifest)
    assert keys == ["domain", "name", *sorted(set(keys) - {"domain", "name"})]
    assert manifest["mqtt"] == ["iot_data_bridge/+/hello"]


def test_the_brand_has_its_images() -> None:
    names = {f"{dark}{kind}{size}.png" for dark in ("", "dark_") for kind in ("icon", "logo") for size in ("", "@2x")}
    assert {path.name for path in (FOLDER / "brand").iterdir()} == names


def test_every_rule_of_the_quality_scale_is_answered() -> None:
    rules = yaml.safe_load((FOLDER / "quality_scale.yaml").read_text())["rules"]
    assert len(rules) == 54
    for rule, answer in rules.items():
        assert answer == "done" or (answer["status"] == "exempt" and answer["comment"]), rule
