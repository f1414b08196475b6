"""The bridge's process beside the operating system: streams, signals, locks, modes and limits."""

import os
import resource
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from tests.data_bridge.running import BridgeProcess, Listener, wait_for_log, wait_until

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals, modes and descriptors are POSIX's")
pytestmark = POSIX


def shell(bridge: BridgeProcess, text: str) -> subprocess.Popen[bytes]:
    """Start the bridge with a shell's redirections; `$@` is its command line."""
    arguments = ["/bin/sh", "-c", f'exec "$@" {text}', "sh", *bridge.command("run")]
    return subprocess.Popen(arguments, env=bridge.environ())  # noqa: S603 -- our own program


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_it_runs_and_stops_with_closed_standard_streams(
    stopped_bridge: BridgeProcess, listener: Listener, closed: str
) -> None:
    process = shell(stopped_bridge, closed)
    try:
        listener.wait(f"{stopped_bridge.root}/availability", lambda payload: payload == b"online")
        listener.envelope("GPS001", "GLL001", 37.5, "u1")
        listener.wait("devices/vm-a/ingress")
        # The numbers of the standard streams belong to nothing that the bridge itself has opened.
        for number in range(3):
            target = str(Path(f"/proc/{process.pid}/fd/{number}").readlink())
            assert not target.startswith(("socket:", "anon_inode:"))
            assert "sqlite" not in target
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_a_full_standard_output_does_not_stop_it(stopped_bridge: BridgeProcess, listener: Listener) -> None:
    process = shell(stopped_bridge, ">/dev/full 2>/dev/full")
    try:
        listener.wait(f"{stopped_bridge.root}/availability", lambda payload: payload == b"online")
        listener.envelope("GPS001", "GLL001", 37.5, "u1")
        listener.wait("devices/vm-a/ingress")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_sighup_and_a_renamed_log_file_open_a_new_one(stopped_bridge: BridgeProcess, listener: Listener) -> None:
    log = stopped_bridge.folder / "logs" / "file.log"
    stopped_bridge.environment = {**stopped_bridge.environment, "IOT_DATA_BRIDGE_LOGGING_FILE": str(log)}
    stopped_bridge.start()
    listener.wait(f"{stopped_bridge.root}/availability", lambda payload: payload == b"online")
    log.rename(log.with_name("renamed.log"))
    stopped_bridge.terminate(signal.SIGHUP)
    wait_until(lambda: log.exists() and b"log_file_reopened" in log.read_bytes())
    log.rename(log.with_name("again.log"))
    # Without a signal too: the next line finds that its file is gone.
    listener.envelope("NOBODY", "KNOWS", 1, "u1")
    wait_until(lambda: log.exists() and b"skipped" in log.read_bytes())
    assert b"skipped" not in log.with_name("again.log").read_bytes()
    assert stopped_bridge.end() == 0


def test_sighup_without_a_log_file_does_not_stop_it(bridge: BridgeProcess, listener: Listener) -> None:
    bridge.terminate(signal.SIGHUP)
    listener.envelope("GPS001", "GLL001", 37.5, "u1")
    listener.wait("devices/vm-a/ingress")
    assert bridge.end() == 0


def test_a_second_bridge_does_not_take_the_data_directory_of_the_first(
    bridge: BridgeProcess, listener: Listener
) -> None:
    second = bridge.run("run")
    assert second.returncode == 2
    assert second.stderr == (
        f"the data directory {bridge.folder / 'data'} is in use by another bridge (process {bridge.process_id}): stop"
        " that one, or give this one a data_directory and a bridge_id of its own\n"
    )
    listener.envelope("GPS001", "GLL001", 37.5, "u1")
    listener.wait("devices/vm-a/ingress")
    # Released with the process, however that ends.
    bridge.end(signal.SIGKILL)
    bridge.start()
    listener.messages.clear()
    listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")


def test_a_data_directory_that_cannot_be_used_is_one_sentence_with_its_cause(stopped_bridge: BridgeProcess) -> None:
    data = stopped_bridge.folder / "data"
    data.write_text("not a folder")
    done = stopped_bridge.run("run")
    assert (done.returncode, done.stderr) == (2, f"the data directory {data} is no folder\n")
    data.unlink()
    data.symlink_to("data")
    done = stopped_bridge.run("run")
    assert (done.returncode, done.stderr) == (2, f"the data directory {data} is no folder\n")


def test_every_file_is_private_whatever_the_umask(stopped_bridge: BridgeProcess, listener: Listener) -> None:
    log = stopped_bridge.folder / "data" / "logs" / "file.log"
    stopped_bridge.environment = {**stopped_bridge.environment, "IOT_DATA_BRIDGE_LOGGING_FILE": str(log)}
    before = os.umask(0)
    try:
        stopped_bridge.start()
    finally:
        os.umask(before)
    listener.wait(f"{stopped_bridge.root}/availability", lambda payload: payload == b"online")
    listener.envelope("GPS001", "GLL001", "no number", "u1")
    listener.wait(f"{stopped_bridge.root}/events", lambda payload: b"dead_letter" in payload)
    data = stopped_bridge.folder / "data"
    wait_until((data / "health.json").exists)
    files = [data, *data.rglob("*")]
    assert len(files) > 8
    open_to_others = {
        str(each): oct(each.stat().st_mode) for each in files if stat.S_IMODE(each.stat().st_mode) & 0o077
    }
    assert open_to_others == {}
    assert stopped_bridge.end() == 0


def test_files_of_the_version_before_become_private(stopped_bridge: BridgeProcess, listener: Listener) -> None:
    data = stopped_bridge.folder / "data"
    data.mkdir()
    names = ("last-good-catalog.json", "subscriptions.json", "health.json", "bridge.log")
    for name in names:
        (data / name).write_bytes(b"" if name == "bridge.log" else b"[]")
        (data / name).chmod(0o644)
    stopped_bridge.environment = {
        **stopped_bridge.environment,
        "IOT_DATA_BRIDGE_LOGGING_FILE": str(data / "bridge.log"),
    }
    stopped_bridge.start()
    listener.wait(f"{stopped_bridge.root}/availability", lambda payload: payload == b"online")
    # It is written anew once the broker has answered the subscriptions.
    wait_until((data / "last-good-catalog.json").exists)
    assert {name: oct((data / name).stat().st_mode & 0o777) for name in names} == dict.fromkeys(names, "0o600")


def test_health_tells_of_a_process_that_was_killed_at_once(bridge: BridgeProcess) -> None:
    wait_until(lambda: bridge.run("health").returncode == 0)
    number = bridge.process_id
    bridge.end(signal.SIGKILL)
    health = bridge.run("health")
    assert health.returncode == 1
    assert f"process {number}" in health.stdout


def test_health_tells_of_a_store_that_cannot_store(bridge: BridgeProcess, listener: Listener) -> None:
    wait_until(lambda: bridge.run("health").returncode == 0)
    # From now on no file may become larger than a health file is: what SQLite writes is.
    resource.prlimit(bridge.process_id, resource.RLIMIT_FSIZE, (16384, resource.RLIM_INFINITY))
    listener.envelope("GPS001", "GLL001", "x" * 20_000, "u1")
    wait_for_log(bridge, "dead_letters_not_stored")
    wait_until(lambda: "cannot store dead letters" in bridge.run("health").stdout)
    assert bridge.run("health").returncode == 1
    resource.prlimit(bridge.process_id, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_until(lambda: bridge.run("health").returncode == 0)
    assert listener.wait(f"{bridge.root}/events", lambda payload: b'"dead_letter"' in payload)


def test_letters_are_stored_anew_when_their_file_is_damaged_while_it_runs(
    bridge: BridgeProcess, listener: Listener
) -> None:
    listener.envelope("GPS001", "GLL001", "first", "u1")
    listener.wait(f"{bridge.root}/events", lambda payload: b"first" in payload)
    store = bridge.folder / "data" / "dead-letters.sqlite"
    letters = listener.command(bridge.root, {"id": "1", "action": "dead_letters"})["data"]
    assert isinstance(letters, dict)
    assert letters["total"] == 1
    for each in (store, store.with_name(f"{store.name}-wal")):
        with each.open("r+b") as file:
            file.write(b"\0" * each.stat().st_size)
    # What the process remembers of the file's pages it may go on using; a stop and a start do not.
    for number in range(5):
        listener.envelope("GPS001", "GLL001", f"later {number}", f"later-{number}")
    listener.envelope("GPS001", "GLL001", 1.5, "u2")
    listener.wait("devices/vm-a/ingress")
    assert bridge.end() == 0
    bridge.start()
    listener.messages.clear()
    listener.wait(f"{bridge.root}/availability", lambda payload: payload == b"online")
    assert bridge.run("dead-letters", "list").returncode == 0
