"""The documentation of the bridge names everything that there is, and its first steps work as they are written."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from data_bridge.catalog.schema import DeviceEntry, MappingRule, MqttEgress, ObjectEntry
from data_bridge.cli.main import main
from data_bridge.reasons import Reason
from data_bridge.runtime.problems import ProblemType
from data_bridge.settings import Settings

CHECKOUT = Path(__file__).parents[2]
PAGES = CHECKOUT / "docs" / "bridge"
_LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")


def page(name: str) -> str:
    return (PAGES / name).read_text()


def settings_of(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield section and name of each setting."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            for section, inner in settings_of(field.annotation):
                yield f"{name}.{section}" if section else name, inner
        else:
            yield "", name


def documented_settings() -> set[tuple[str, str]]:
    table = page("reference.md").partition("## Settings")[2].partition("## Data directory")[0]
    found: set[tuple[str, str]] = set()
    for row in re.findall(r"^\| (`[^|]+`) \|", table, re.MULTILINE):
        section = ""
        for given in re.findall(r"`([a-z_.]+)`", row):
            parent, _, name = given.rpartition(".")
            # `.port` after `broker.host` is in the same section.
            section = section if given.startswith(".") else parent
            found.add((section, name))
    return found


def test_each_setting_is_documented_and_no_other() -> None:
    assert documented_settings() == set(settings_of(Settings))


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_is_documented(reason: Reason) -> None:
    assert f"\n| `{reason}` |" in page("delivery.md")


@pytest.mark.parametrize("problem", ProblemType)
def test_each_type_of_problem_is_documented(problem: ProblemType) -> None:
    assert f"`{problem}`" in page("reference.md").partition("### Metrics")[2]


@pytest.mark.parametrize("model", [MappingRule, ObjectEntry, DeviceEntry, MqttEgress])
def test_each_key_of_the_catalogs_is_documented(model: type[BaseModel]) -> None:
    text = page("catalogs.md")
    assert [name for name in model.model_fields if f"`{name}`" not in text and f"`mqtt.{name}`" not in text] == [
        "mqtt"
    ] * (model is DeviceEntry)


def test_the_first_steps_print_what_the_page_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = page("README.md")
    for name in ("bridge.yaml", "mappings.yaml", "devices.yaml"):
        block = re.search(rf"`{name}`.*?```yaml\n(.*?)```", text.partition("## Five-minute start")[2], re.DOTALL)
        assert block is not None
        (tmp_path / name).write_text(re.sub(r"^ {3}", "", block[1], flags=re.MULTILINE))
    shown = re.search(r"\n( +ok: .*?)\n\n", text, re.DOTALL)
    assert shown is not None

    assert main(["check", "--config", str(tmp_path / "bridge.yaml")]) == 0
    message = '{"temperature": 21.5}'
    assert main(["try", "--config", str(tmp_path / "bridge.yaml"), "--topic", "sensors/hall/climate", message]) == 0

    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    expected = [line.strip() for line in shown[1].splitlines()]
    seconds = re.compile(r", \d\.\d\d s$")
    assert seconds.sub("", printed[0]) == seconds.sub("", expected[0])
    assert printed[1:] == expected[1:]


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize(
    "path",
    [
        *sorted((CHECKOUT / "docs").rglob("*.md")),
        *(CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "addon/DOCS.md", "benchmarks/README.md")),
    ],
    ids=lambda path: str(path.relative_to(CHECKOUT)),
)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    for target, anchor in _LINK.findall(path.read_text()):
        if "://" in target:
            continue
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), f"{target}#{anchor}"
