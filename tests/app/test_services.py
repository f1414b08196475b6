"""The services' tree that s6-overlay reads, and the scripts in it."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from broker.prepare import INTERNAL_LISTENER

ROOT = Path("addon/rootfs")
TREE = ROOT / "etc/s6-overlay/s6-rc.d"
SERVICES = sorted(path.name for path in TREE.iterdir() if path.name != "user")
LONGRUNS = [name for name in SERVICES if (TREE / name / "type").read_text() == "longrun\n"]


def dependencies(name: str) -> set[str]:
    return {path.name for path in (TREE / name / "dependencies.d").iterdir()}


def test_the_services_start_in_order() -> None:
    assert SERVICES == ["bridge", "init-config", "mosquitto", "mosquitto-log"]
    assert dependencies("init-config") == {"base"}
    assert dependencies("mosquitto") == {"init-config"}
    assert dependencies("bridge") == {"mosquitto"}


def test_everything_is_started_and_nothing_else() -> None:
    pipelines = {path.read_text().strip(): path.parent.name for path in TREE.glob("*/pipeline-name")}
    wanted = {path.name for path in (TREE / "user/contents.d").iterdir()}
    assert wanted == {"init-config", "mosquitto-pipeline", "bridge"}
    assert pipelines == {"mosquitto-pipeline": "mosquitto-log"}
    assert (TREE / "mosquitto-log/consumer-for").read_text().split() == ["mosquitto"]
    assert (TREE / "mosquitto/producer-for").read_text().split() == ["mosquitto-log"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_complete(name: str) -> None:
    kind = (TREE / name / "type").read_text()
    assert kind in ("oneshot\n", "longrun\n")
    script = TREE / name / ("up" if kind == "oneshot\n" else "run")
    assert script.is_file()
    assert dependencies(name) <= {*SERVICES, "base"}
    if kind == "oneshot\n":
        # One line of execline, not a script: s6-rc compiles it.
        assert re.fullmatch(r"/command/with-contenv [^\n]+\n", script.read_text())
    else:
        assert os.access(script, os.X_OK)
        assert script.read_text().startswith("#!/")
        assert "\nexec s6-" in script.read_text()


@pytest.mark.parametrize(
    ("name", "user"), [("mosquitto", "mosquitto"), ("bridge", "bridge"), ("mosquitto-log", "nobody")]
)
def test_no_service_runs_as_root(name: str, user: str) -> None:
    assert name in LONGRUNS
    assert f"s6-setuidgid {user} " in (TREE / name / "run").read_text()


@pytest.mark.parametrize("name", ["mosquitto", "bridge"])
def test_a_service_that_fails_ends_the_container(name: str) -> None:
    finish = TREE / name / "finish"
    assert os.access(finish, os.X_OK)
    assert 'exec /usr/libexec/iot-data-bridge/halt-after-failure "$@"\n' in finish.read_text()


@pytest.mark.parametrize(
    ("arguments", "before", "after", "halted"),
    [
        (("0", "0"), "0", "0", False),
        (("256", "15"), "0", "0", False),
        (("143", "0"), "0", "0", False),
        (("3", "0"), "0", "3", True),
        (("256", "11"), "0", "139", True),
        (("256", "9"), None, "137", True),
        (("1", "0"), "78", "78", True),
    ],
    ids=["ended", "stopped", "stopped and said so", "failed", "crashed", "first result", "second failure"],
)
def test_the_container_ends_with_the_first_failure(
    tmp_path: Path, arguments: tuple[str, str], before: str | None, after: str, halted: bool
) -> None:
    result = tmp_path / "run/s6-linux-init-container-results/exitcode"
    halt = tmp_path / "run/s6/basedir/bin/halt"
    for folder in (result.parent, halt.parent):
        folder.mkdir(parents=True)
    if before is not None:
        result.write_text(f"{before}\n")
    halt.write_text(f"#!/bin/sh\ntouch {tmp_path}/halted\n")
    halt.chmod(0o755)
    script = tmp_path / "halt-after-failure"
    own = (ROOT / "usr/libexec/iot-data-bridge/halt-after-failure").read_text()
    script.write_text(re.sub("/run/s6", f"{tmp_path}/run/s6", own))
    subprocess.run(["/bin/sh", script, *arguments], check=True)  # noqa: S603 -- our own script
    assert result.read_text().strip() == after
    assert (tmp_path / "halted").exists() == halted


def test_the_log_leaves_out_health_checks_alone(tmp_path: Path) -> None:
    port = INTERNAL_LISTENER.port
    kept = [
        "2026-11-21T04:27:37: mosquitto version 2.0.21 running",
        "2026-11-21T04:27:38: New connection from 192.0.2.1:40000 on port 1883.",
        "2026-11-21T04:27:38: New client connected from 192.0.2.1:40000 as healthcheck-1 (p2, c1, k60, u'sensor').",
        "2026-11-21T04:27:39: New client connected from 127.0.0.1:40001 as idb-main (p5, c0, k30, u'bridge').",
        "2026-11-21T04:27:40: Client healthcheck-00ff closed its connection.",
        "2026-11-21T04:27:41: Client sensor disconnected, not authorised.",
    ]
    left_out = [
        f"2026-11-21T04:27:50: New connection from 127.0.0.1:50000 on port {port}.",
        "2026-11-21T04:27:50: New client connected from 127.0.0.1:50000 as healthcheck-00ff (p5, c1, k60, u'h').",
        "2026-11-21T04:27:50: Client healthcheck-00ff disconnected.",
        "2026-11-21T04:27:50: Client healthcheck-00ff [127.0.0.1:50000] disconnected.",
    ]
    # The container's program that changes the user is not on every machine; what it starts is.
    other = tmp_path / "s6-setuidgid"
    other.write_text('#!/bin/sh\nshift\nexec "$@"\n')
    other.chmod(0o755)
    said = subprocess.run(  # noqa: S603 -- our own script
        [TREE / "mosquitto-log/run"],
        input="".join(f"{line}\n" for line in [*kept[:3], *left_out, *kept[3:]]),
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.splitlines() == kept
