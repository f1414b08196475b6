"""scripts/setup: quiet when nothing is to be done, exact about what it may not do itself."""

import os
import subprocess
from pathlib import Path

from development.stack import CHECKOUT


def set_up(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": path or os.environ["PATH"]}
    return subprocess.run(  # noqa: S603 -- ours
        [CHECKOUT / "scripts" / "setup", *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_a_second_set_up_does_and_says_nothing() -> None:
    ended = set_up()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_missing_program_that_may_not_be_installed_is_named_with_the_command(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for folder in ("/bin", "/usr/bin"):
        for program in Path(folder).iterdir():
            link = programs / program.name
            if program.name != "ffmpeg" and not link.is_symlink():
                link.symlink_to(program)
    ended = set_up("--no-apt", path=str(programs))
    assert ended.returncode == 1
    assert "sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends ffmpeg'" in ended.stderr


def test_an_unknown_option_shows_the_usage() -> None:
    ended = set_up("--fast")
    assert (ended.returncode, ended.stderr) == (2, "usage: scripts/setup [--no-apt] [--browser]\n")
