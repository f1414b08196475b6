"""What the validation may do, and whose code it runs."""

import re
from pathlib import Path

import pytest
import yaml

FILES = sorted(Path(".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_full_commit(path: Path) -> None:
    used = re.findall(r"uses: *(.*)", path.read_text())
    assert used
    for action in used:
        assert re.fullmatch(r"[\w.-]+(/[\w.-]+)+@[0-9a-f]{40} # \S.*", action), action


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_job_may_more_than_read(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_text_of_a_stranger_becomes_a_command(path: Path) -> None:
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        assert [step["run"] for step in job["steps"] if "${{" in step.get("run", "")] == []


def test_everything_that_can_be_validated_is() -> None:
    jobs = yaml.safe_load(Path(".github/workflows/validate.yml").read_text())["jobs"]
    assert set(jobs) == {"tests", "hassfest", "hacs", "image"}
    assert any(step.get("run") == ".ci/run" for step in jobs["tests"]["steps"])
    assert {entry["architecture"] for entry in jobs["image"]["strategy"]["matrix"]["include"]} == set(
        yaml.safe_load(Path("addon/config.yaml").read_text())["arch"]
    )
