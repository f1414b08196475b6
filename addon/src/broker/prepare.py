"""What happens before the app's services start: options become files that Mosquitto and the bridge read."""

import json
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from broker.health import TOPIC
from broker.mosquitto import Access, Listener, access_file, configuration, password_file
from broker.options import BRIDGE_USER, HEALTHCHECK_USER, Options, read_options
from broker.secret import kept_password

PUBLIC_LISTENER = Listener(1883)
# For the app's own clients: reachable from inside the container only.
INTERNAL_LISTENER = Listener(18830, "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the app's files are and which system users own them; the defaults are the container's."""

    data: Path = Path("/data")
    catalogs: Path = Path("/config")
    catalog_seeds: Path = Path("/usr/share/iot-data-bridge/catalogs")
    runtime: Path = Path("/run/iot-data-bridge")
    broker_owner: str = "mosquitto"
    bridge_owner: str = "bridge"
    public: Listener = PUBLIC_LISTENER
    internal: Listener = INTERNAL_LISTENER

    @property
    def options(self) -> Path:
        """Return the file that the Supervisor writes."""
        return self.data / "options.json"

    @property
    def bridge_state(self) -> Path:
        """Return the folder that the bridge may write, in every backup of the app."""
        return self.data / "bridge"

    @property
    def bridge_password(self) -> Path:
        """Return the file with the password of the bridge's user of the broker."""
        return self.bridge_state / "broker-password"

    @property
    def healthcheck_password(self) -> Path:
        """Return the file with the password of the health check's user of the broker."""
        return self.data / "healthcheck-password"


def prepare(layout: Layout) -> list[str]:
    """Write every file that the services need, and return what a person should read in the log.

    Raises:
        OptionsError: the options cannot be used.
        OSError: a file cannot be written.
    """
    options = read_options(layout.options)
    _folder(layout.bridge_state, mode=0o700)
    users = [
        Access(BRIDGE_USER, kept_password(layout.bridge_password), ("readwrite #",)),
        Access(HEALTHCHECK_USER, kept_password(layout.healthcheck_password), (f"readwrite {TOPIC}/#",)),
        *(
            Access(user.username, user.password.get_secret_value(), ("readwrite #", "read $SYS/#", f"deny {TOPIC}/#"))
            for user in options.users
        ),
    ]
    _write_broker_files(layout, options, users)
    _write_bridge_environment(layout, options)
    _give_all(layout.bridge_state, layout.bridge_owner)
    notes = _seed_catalogs(layout)
    if not options.users:
        notes.append("no user is configured, so no device can connect: add one in the app's configuration")
    return notes


def _write_broker_files(layout: Layout, options: Options, users: list[Access]) -> None:
    persistence, files = layout.data / "mosquitto", layout.runtime / "mosquitto"
    _folder(layout.runtime, mode=0o755)
    _folder(persistence, mode=0o700)
    _folder(files, mode=0o700)
    for name, text in {
        "mosquitto.conf": configuration(files, persistence, (layout.internal, layout.public), options.log_level),
        "passwords": password_file(users),
        "access": access_file(users),
    }.items():
        _private_file(files / name, text)
    for folder in (persistence, files):
        _give_all(folder, layout.broker_owner)


def _write_bridge_environment(layout: Layout, options: Options) -> None:
    """Write one file a variable, the format of s6-envdir(1): the bridge takes its settings from its environment."""
    environment = layout.runtime / "bridge-environment"
    _folder(environment, mode=0o700)
    for name, value in {
        "BRIDGE_ID": options.bridge_id,
        "NAME": options.bridge_name,
        "DATA_DIRECTORY": str(layout.bridge_state),
        "BROKER_HOST": layout.internal.address,
        "BROKER_PORT": str(layout.internal.port),
        "BROKER_USERNAME": BRIDGE_USER,
        "BROKER_PASSWORD_FILE": str(layout.bridge_password),
        "CATALOGS_MAPPINGS": str(layout.catalogs / "mappings.yaml"),
        "CATALOGS_DEVICES": str(layout.catalogs / "devices.yaml"),
        "INGRESS_TOPICS": json.dumps(options.ingress_topics),
        "LOGGING_LEVEL": options.log_level,
    }.items():
        _private_file(environment / f"IOT_DATA_BRIDGE_{name}", value)


def _seed_catalogs(layout: Layout) -> list[str]:
    notes = []
    for seed in sorted(layout.catalog_seeds.iterdir()):
        wanted = layout.catalogs / seed.name
        if not wanted.exists():
            shutil.copyfile(seed, wanted)
            notes.append(f"{wanted} was not there: an example to edit is there now")
    return notes


def _folder(path: Path, *, mode: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)


def _private_file(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _give_all(folder: Path, owner: str) -> None:
    """Make all in a folder a system user's, at every start: in a newer image the user may have another number."""
    user = pwd.getpwnam(owner)
    for path in (folder, *folder.rglob("*")):
        # Never what a link names: the folder's owner could point it at any file.
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
