"""The app's image, built from addon/ as Home Assistant builds it, and run: from outside only MQTT is seen of it.

Home Assistant's base image and a container engine cannot be had everywhere, so the base is a Debian made by debootstrap
with a stand-in for s6-overlay (base_image/), built by buildah and run by podman and runc without a daemon. Run it with

    IOT_DATA_BRIDGE_CONTAINER_TEST=1 scripts/test tests/app/test_container.py -s

as root, after apt-get install debootstrap buildah podman runc conmon iproute2. What it makes is kept in .dev/app-image.
"""

import json
import os
import queue
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion

PROGRAMS = ("debootstrap", "buildah", "podman", "runc", "conmon", "ip")

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("IOT_DATA_BRIDGE_CONTAINER_TEST") != "1",
        reason="needs root, debootstrap, buildah, podman and minutes: set IOT_DATA_BRIDGE_CONTAINER_TEST=1",
    ),
    pytest.mark.timeout(900),
]

CACHE = Path(".dev/app-image").resolve()
STORAGE = ("--root", f"{CACHE}/storage", "--runroot", f"{CACHE}/run", "--storage-driver", "overlay")
BUILDAH = ("buildah", *STORAGE)
# crun cannot run in every virtual machine; runc can. Without systemd nothing but this test calls the health check.
PODMAN = ("podman", "--runtime", shutil.which("runc", path="/usr/sbin:/usr/bin") or "runc", *STORAGE)
BUILD = ("build", "--layers", "--isolation", "chroot", "--format", "docker", "--pull=never")
SECONDS = 30.0

TOKEN = "of-the-supervisor"
PASSWORD = "pässwörd: of 1 sensor"
# Run inside, on the processes that have an argument; the container has no ps and no pkill.
FIND = """
import os, pathlib, signal, sys
for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    if set(path.read_text().split("\\0")[:3]) & set(sys.argv[1:]) and int(path.parent.name) != os.getpid():
"""
KILL = f"{FIND}        os.kill(int(path.parent.name), signal.SIGSEGV)"
ENVIRONMENTS = f"{FIND}        print(path.with_name('environ').read_text())"
MAPPINGS = "mappings: [{equip_tag: GPS001, message_id: GLL001, object: GPS.Latitude, value_type: float}]\n"
DEVICES = "objects: {GPS.Latitude: [VM-A, VM-C]}\n"


def run(*command: str, folder: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 -- our own commands
    assert done.returncode == 0 or not check, f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done


def mirror() -> str:
    """Return the address of the Debian mirror that this machine's own apt uses."""
    sites = run("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages").stdout.split()
    return next(site for site in sites if site.rstrip("/").endswith("/debian"))


@contextmanager
def timed(what: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    print(f"container test: {what}: {time.monotonic() - start:.1f} s")  # noqa: T201 -- the times are part of what it reports


@pytest.fixture(scope="module")
def image() -> str:
    """Build the image; a second time only what changed."""
    missing = [program for program in PROGRAMS if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
    assert not missing, f"apt-get install {' '.join(missing)} first"
    CACHE.mkdir(parents=True, exist_ok=True)
    if run(*BUILDAH, "inspect", "--type", "image", "localhost/debian:trixie", check=False).returncode != 0:
        tree = CACHE / "debian"
        shutil.rmtree(tree, ignore_errors=True)
        with timed("debootstrap trixie"):
            run("debootstrap", "--variant=minbase", "--include=ca-certificates", "trixie", str(tree), mirror())
        with timed("image of Debian"):
            run("tar", "-C", str(tree), "--one-file-system", "-cf", f"{CACHE}/debian.tar", ".")
            container = run(*BUILDAH, "from", "scratch").stdout.strip()
            run(*BUILDAH, "add", "--quiet", container, f"{CACHE}/debian.tar", "/")
            run(*BUILDAH, "commit", "--quiet", container, "localhost/debian:trixie")
            run(*BUILDAH, "rm", container)
        shutil.rmtree(tree)
    base = CACHE / "base"
    shutil.rmtree(base, ignore_errors=True)
    shutil.copytree("tests/app/base_image", base)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", base)
    with timed("base image"):
        run(*BUILDAH, *BUILD, "-t", "localhost/base-debian:trixie", ".", folder=base)
    with timed("app image"):
        from_base = ("--build-arg", "BUILD_FROM=localhost/base-debian:trixie")
        run(*BUILDAH, *BUILD, *from_base, "-t", "localhost/iot-data-bridge:test", "addon")
    return "localhost/iot-data-bridge:test"


@dataclass(frozen=True, slots=True)
class App:
    """A running container of the app: its folders on this machine, and its address."""

    name: str
    address: str
    folder: Path

    @property
    def log(self) -> str:
        done = run(*PODMAN, "logs", self.name)
        return done.stdout + done.stderr

    def inside(self, *command: str, user: str = "root") -> str:
        return run(*PODMAN, "exec", "--user", user, self.name, *command).stdout

    def healthy(self) -> bool:
        return run(*PODMAN, "healthcheck", "run", self.name, check=False).returncode == 0

    def wait_until_healthy(self) -> None:
        deadline = time.monotonic() + SECONDS
        while not self.healthy():
            assert self.state() == "running", self.log
            assert time.monotonic() < deadline, self.log

    def state(self) -> str:
        return run(*PODMAN, "inspect", "--format", "{{.State.Status}}", self.name).stdout.strip()

    def wait_until_ended(self) -> int:
        return int(run("timeout", f"{SECONDS}", *PODMAN, "wait", self.name).stdout)

    def stop(self) -> int:
        # As the Supervisor does: SIGTERM, and after the manifest's timeout SIGKILL.
        run(*PODMAN, "stop", "--time", "30", self.name)
        return int(run(*PODMAN, "inspect", "--format", "{{.State.ExitCode}}", self.name).stdout)


@contextmanager
def container(image: str, folder: Path, **options: object) -> Iterator[App]:
    """Start the app with folders as the Supervisor mounts them, behind a network interface of its own."""
    tag = secrets.token_hex(3)
    name, subnet = f"iot-data-bridge-{tag}", 4 * secrets.randbelow(60)
    outside, address = f"192.0.2.{subnet + 1}", f"192.0.2.{subnet + 2}"
    for made in ("data", "config"):
        (folder / made).mkdir(exist_ok=True)
    defaults: dict[str, object] = {
        "users": [{"username": "sensor", "password": PASSWORD}],
        "bridge_id": "main",
        "bridge_name": "Test",
        "ingress_topics": ["iot/ingress"],
        "log_level": "info",
    }
    (folder / "data/options.json").write_text(json.dumps({**defaults, **options}))
    try:
        for command in (
            f"ip netns add {name}",
            f"ip link add idb-{tag} type veth peer name eth0 netns {name}",
            f"ip addr add {outside}/30 dev idb-{tag}",
            f"ip link set idb-{tag} up",
            f"ip -n {name} addr add {address}/30 dev eth0",
            f"ip -n {name} link set eth0 up",
            f"ip -n {name} link set lo up",
        ):
            run(*command.split())
        run(
            *PODMAN,
            *("--cgroup-manager", "cgroupfs", "run", "--detach", "--pull=never", "--name", name),
            *("--network", f"ns:/run/netns/{name}", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"),
            *("--tmpfs", "/tmp", "--env", "TZ=Asia/Seoul"),  # noqa: S108 -- the container's own
            *("--env", f"SUPERVISOR_TOKEN={TOKEN}", "--env", f"HASSIO_TOKEN={TOKEN}"),
            *("--volume", f"{folder}/data:/data", "--volume", f"{folder}/config:/config", image),
        )
        yield App(name, address, folder)
    finally:
        run(*PODMAN, "rm", "--force", "--time", "0", name, check=False)
        run("ip", "netns", "del", name, check=False)


class Outside:
    """An MQTT client that is not in the container."""

    def __init__(self, app: App, username: str | None = "sensor", password: str | None = PASSWORD) -> None:
        self.reasons: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.messages: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self.client = Client(CallbackAPIVersion.VERSION2, f"outside-{secrets.token_hex(4)}", protocol=MQTTv5)
        self.client.username_pw_set(username, password)
        self.client.on_connect = lambda _client, _data, _flags, reason, _properties: self.reasons.put(str(reason))
        self.client.on_subscribe = lambda _client, _data, _id, reasons, _properties: self.reasons.put(str(reasons[0]))
        self.client.on_message = lambda _client, _data, message: self.messages.put((message.topic, message.payload))
        self.client.connect(app.address, 1883)
        self.client.loop_start()
        self.reason = self.reasons.get(timeout=SECONDS)

    def subscribe(self, topic: str) -> None:
        self.client.subscribe(topic, qos=1)
        assert self.reasons.get(timeout=SECONDS) == "Granted QoS 1"

    def publish(self, topic: str, payload: str) -> None:
        self.client.publish(topic, payload, qos=1).wait_for_publish(SECONDS)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@contextmanager
def outside(app: App, username: str | None = "sensor", password: str | None = PASSWORD) -> Iterator[Outside]:
    client = Outside(app, username, password)
    try:
        yield client
    finally:
        client.close()


def envelope() -> str:
    """Return a message of a data source, never the same twice: the bridge drops what it has seen."""
    header = {"UUID": secrets.token_hex(16), "TIME": "20250918103045", "SRC": "SENSOR-GW-01", "DEST": "IoTDataBridge"}
    payload = {"Equip.Tag": "GPS001", "Message.ID": "GLL001", "VALUE": 37.5665}
    return json.dumps({"header": {**header, "TYPE": "SENSORDATA"}, "payload": payload})


def wait_for_bridge(app: App, client: Outside) -> None:
    client.subscribe("iot_data_bridge/main/availability")
    while client.messages.get(timeout=SECONDS) != ("iot_data_bridge/main/availability", b"online"):
        assert app.state() == "running", app.log


def test_an_envelope_from_outside_reaches_its_devices_before_and_after_a_restart(image: str, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/mappings.yaml").write_text(MAPPINGS)
    (tmp_path / "config/devices.yaml").write_text(DEVICES)
    for _ in range(2):
        with timed("start, message, stop"), container(image, tmp_path) as app:
            with timed("start until healthy"):
                app.wait_until_healthy()
            with outside(app) as client:
                assert client.reason == "Success"
                wait_for_bridge(app, client)
                client.subscribe("devices/#")
                client.publish("iot/ingress", envelope())
                arrived = dict(client.messages.get(timeout=SECONDS) for _ in range(2))
                assert set(arrived) == {"devices/vm-a/ingress", "devices/vm-c/ingress"}
                for payload in arrived.values():
                    read = json.loads(payload)
                    assert (read["object"], read["value"]) == ("GPS.Latitude", 37.5665)
            with timed("stop"):
                assert app.stop() == 0, app.log
            assert "Saving in-memory database to /data/mosquitto/" in app.log
    assert (tmp_path / "config/mappings.yaml").read_text() == MAPPINGS


def test_a_first_start_is_safe_and_quiet(image: str, tmp_path: Path) -> None:
    with container(image, tmp_path) as app:
        app.wait_until_healthy()
        for username, password in (("sensor", "wrong"), ("bridge", "wrong"), ("healthcheck", ""), (None, None)):
            with outside(app, username, password) as client:
                assert client.reason == "Not authorized"
        with outside(app) as client:
            wait_for_bridge(app, client)
        with pytest.raises(OSError, match="refused"):
            Client(CallbackAPIVersion.VERSION2).connect(app.address, 18830)

        for name in ("mappings.yaml", "devices.yaml"):
            assert (tmp_path / "config" / name).read_text().startswith("# ")
        password = (tmp_path / "data/bridge/broker-password").read_text()
        assert app.inside("stat", "-c", "%a %U", "/data/bridge/broker-password") == "600 bridge\n"
        assert app.inside("stat", "-c", "%a %U", "/data/mosquitto") == "700 mosquitto\n"
        seoul = datetime.now(ZoneInfo("Asia/Seoul")).strftime("%Y-%m-%dT%H:")
        assert re.search(rf"^{seoul}\d\d:\d\d: mosquitto version \S+ running$", app.log, flags=re.MULTILINE)
        script = 'for p in /proc/[0-9]*; do printf "%s %s\\n" "$(stat -c %U $p)" "$(tr "\\0" " " <$p/cmdline)"; done'
        processes = app.inside("sh", "-c", script).splitlines()
        assert [line.split()[0] for line in processes if "/usr/sbin/mosquitto -c" in line] == ["mosquitto"]
        assert [line.split()[0] for line in processes if line.endswith("-m data_bridge run ")] == ["bridge"]

        for user, argument in (("mosquitto", "/usr/sbin/mosquitto"), ("bridge", "data_bridge")):
            environment = app.inside("python", "-c", ENVIRONMENTS, argument, user=user)
            assert "TZ=Asia/Seoul" in environment
            assert TOKEN not in environment

        for _ in range(3):
            assert app.healthy()
        log = app.log
        assert "u'sensor'" in log, "connections are in the log"
        assert "healthcheck" not in log.replace("u'healthcheck'>, not authori", ""), log
        assert password not in log
        assert PASSWORD not in log
        assert app.stop() == 0, app.log
        assert not app.healthy()


def test_options_that_cannot_be_used_end_the_container_and_are_named(image: str, tmp_path: Path) -> None:
    users = [{"username": "bridge", "password": PASSWORD}]
    with container(image, tmp_path, users=users) as app:
        assert app.wait_until_ended() == 1
        assert "the user name bridge is the app's own; choose another" in app.log
        assert PASSWORD not in app.log


@pytest.mark.parametrize("argument", ["/usr/sbin/mosquitto", "data_bridge"])
def test_a_service_that_crashes_ends_the_container_with_its_code(image: str, tmp_path: Path, argument: str) -> None:
    with container(image, tmp_path) as app:
        app.wait_until_healthy()
        with outside(app) as client:
            wait_for_bridge(app, client)
        app.inside("python", "-c", KILL, argument)
        assert app.wait_until_ended() == 139, app.log
