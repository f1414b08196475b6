"""The whole product on one machine, from broker to Home Assistant and the devices in the field, as real processes."""

import asyncio
import json
import re
import secrets
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from development.connection import BrokerAccount
from development.home_assistant import HomeAssistant
from development.home_assistant_api import HomeAssistantApi, JsonObject
from development.leftovers import mark
from development.mosquitto import Mosquitto
from development.observer import Observer
from development.program import Program, ProgramFailedError

CHECKOUT = Path(__file__).parent.parent
BRIDGE_ID = "development"
BASKETS = (("basket/unit0001", 1), ("basket/store02/unit015", 15))
PRINTER_TOPIC = "octoprint/status/11111111-2222-4333-8444-555555555555"
BROKER_USERS = ("home-assistant", "bridge", "basket-1", "basket-15", "printer", "source", "observer")

OWN_FILES = ("bridge", "home-assistant", "logs", "mosquitto", "mqtt-port", "passwords.json")

type Report = Callable[[str, str, float], None]


class PortTakenError(RuntimeError):
    """Another program listens where a part of the stack should."""


@dataclass(slots=True)
class Stack:
    """The parts, in the order in which they start; `start` and `stop` may be called once each.

    Everything they write is in `directory`, which a later stack takes up again. `replay_speed` is how many recorded
    seconds of the printer pass in one.
    """

    directory: Path
    home_assistant_port: int
    broker_port: int
    demo: bool = True
    replay_speed: float = 1.0
    report: Report = lambda _name, _detail, _seconds: None
    broker: Mosquitto = field(init=False)
    home_assistant: HomeAssistant = field(init=False)
    observer: Observer = field(init=False)
    programs: dict[str, Program] = field(init=False, default_factory=dict)
    _api: HomeAssistantApi | None = field(init=False, default=None)
    _broker_start: asyncio.Task[None] | None = field(init=False, default=None)
    _passwords: dict[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Name the parts; none is started."""
        # Home Assistant keeps the broker's password in a file that everybody may read.
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._passwords = self._load_passwords()
        users = {name: self._passwords[name] for name in BROKER_USERS}
        self.broker = Mosquitto(self.directory / "mosquitto", port=self.broker_port, users=users)
        self.home_assistant = HomeAssistant(
            self.directory / "home-assistant",
            CHECKOUT / "custom_components",
            self.home_assistant_port,
            "developer",
            self._passwords["developer"],
        )
        for process in (self.broker.process, self.home_assistant.process):
            process.environment = {**process.environment, **mark(self.directory)}
        self.observer = Observer(self.account("observer"))

    @staticmethod
    def forget(directory: Path) -> None:
        """Remove what stacks wrote into `directory`, and nothing else that may be there."""
        for name in OWN_FILES:
            path = directory / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def account(self, user: str) -> BrokerAccount:
        """Return how a user reaches the stack's broker."""
        return BrokerAccount(self.broker_port, user, self._passwords[user])

    @property
    def api(self) -> HomeAssistantApi:
        """Return the connection to Home Assistant; there is one after `start`."""
        if self._api is None:
            raise ProgramFailedError("Home Assistant is not running")
        return self._api

    async def start(self) -> None:
        """Start every part and see that it is healthy; what is started stays so if a later part fails.

        Raises:
            PortTakenError, ProgramMissingError, ProgramFailedError, NothingArrivedError, ApiError: with one sentence
            that says what to do about it.
        """
        _require_free(self.broker_port, "The broker's port", "--broker-port")
        _require_free(self.home_assistant_port, "Home Assistant's port", "--port")
        await self._timed("Mosquitto", f"127.0.0.1:{self.broker_port}", self._start_broker)
        await self._timed("Bridge", f"iot/ingress to devices/…/ingress, id {BRIDGE_ID}", self._start_bridge)
        await self._timed("Home Assistant", self.home_assistant.url, self._start_home_assistant)
        if not self.demo:
            return
        for root, number in BASKETS:
            await self._timed(f"Basket {number}", root, partial(self._start_basket, root, number))
        await self._timed("Printer", PRINTER_TOPIC, self._start_printer)
        await self._timed("Data source", "iot/ingress", self._start_source)
        await self._timed("Entities", "every device shows its state in Home Assistant", self._see_entities)

    async def stop(self) -> None:
        """End every part, the last started first."""
        if self._api is not None:
            await self._api.close()
            self._api = None
        if self._broker_start is not None:
            await asyncio.wait([self._broker_start])
        await self.observer.close()
        for program in reversed(self.programs.values()):
            await asyncio.to_thread(program.stop)
        self.programs.clear()

    async def restart_home_assistant(self) -> None:
        """Stop Home Assistant, which saves its state, and start it again; `api` is a new connection afterwards."""
        await self.api.close()
        self._api = None
        await asyncio.to_thread(self.home_assistant.stop)
        self._api = await self.home_assistant.start()

    async def watch(self) -> None:
        """Return never; raise when a part ends by itself.

        Raises:
            ProgramFailedError: with the part's last lines.
        """
        while True:
            for program in self.programs.values():
                if program.started:
                    program.check()
            await asyncio.sleep(0.5)

    async def _timed(self, name: str, detail: str, start: Callable[[], Awaitable[None]]) -> None:
        began = time.monotonic()
        await start()
        self.report(name, detail, time.monotonic() - began)

    async def _start_broker(self) -> None:
        # Known before it lives: cancelled in the middle, the thread still starts it, and `stop` must find it.
        self.programs["mosquitto"] = self.broker.process
        self._broker_start = asyncio.create_task(asyncio.to_thread(self.broker.start))
        await asyncio.shield(self._broker_start)
        await self.observer.connect()

    async def _start_bridge(self) -> None:
        folder = self.directory / "bridge"
        self._copy_examples(folder)
        account = self.account("bridge")
        environment = {
            "IOT_DATA_BRIDGE_BRIDGE_ID": BRIDGE_ID,
            "IOT_DATA_BRIDGE_NAME": "Development bridge",
            "IOT_DATA_BRIDGE_BROKER_PORT": str(account.port),
            "IOT_DATA_BRIDGE_BROKER_USERNAME": account.username,
            "IOT_DATA_BRIDGE_BROKER_PASSWORD": account.password,
        }
        availability = f"iot_data_bridge/{BRIDGE_ID}/availability"
        # What a killed bridge left behind must not pass for the new one's word.
        self.observer.publish(availability, b"", retain=True)
        arguments = ("run", "--config", str(folder / "bridge.yaml"))
        program = self._start_program("bridge", "data_bridge", *arguments, environment=environment)
        await self._healthy(program, availability, lambda payload: payload == b"online")

    def _copy_examples(self, folder: Path) -> None:
        """Copy once only: these are the developer's to edit, and the bridge loads them again when they change."""
        if folder.exists():
            return
        examples = CHECKOUT / "addon" / "src" / "data_bridge" / "examples"
        whole = Path(tempfile.mkdtemp(dir=self.directory))
        shutil.copytree(examples, whole, ignore=shutil.ignore_patterns("*.service"), dirs_exist_ok=True)
        whole.rename(folder)

    async def _start_home_assistant(self) -> None:
        self.programs["home-assistant"] = self.home_assistant.process
        self._api = await self.home_assistant.start()
        account = self.account("home-assistant")
        broker: JsonObject = {
            "broker": "127.0.0.1",
            "port": account.port,
            "protocol": "5",
            "username": account.username,
            "password": account.password,
            "other_settings": {"set_ca_cert": "off", "set_client_cert": False},
        }
        entries = await self._api.entries("mqtt")
        known = self.directory / "mqtt-port"
        if not entries:
            await self._api.configure("mqtt", broker)
        elif not known.exists() or known.read_text() != str(account.port):
            await self._api.configure("mqtt", broker, entry_id=str(entries[0]["entry_id"]))
        known.write_text(str(account.port))
        if not await self._api.entries("iot_data_bridge"):
            await self._api.configure("iot_data_bridge", {})
        for domain in ("mqtt", "iot_data_bridge"):
            await self._see_loaded(domain)

    async def _see_loaded(self, domain: str) -> None:
        """Wait until the entries of an integration are set up: a change to one makes Home Assistant load it anew."""
        deadline = time.monotonic() + 30
        while entries := [entry for entry in await self.api.entries(domain) if entry["state"] != "loaded"]:
            self.home_assistant.process.check()
            if time.monotonic() > deadline:
                raise ProgramFailedError(
                    f"Home Assistant could not set up {domain}: {entries[0]['state']}, {entries[0]['reason']} "
                    f"(see {self.home_assistant.process.log})"
                )
            await asyncio.sleep(0.1)

    async def _start_basket(self, root: str, number: int) -> None:
        account = self.account(f"basket-{number}")
        environment = {**account.environment(), "MQTT_TOPIC": root, "BASKET_ID": str(number)}
        arguments = ("--reader", "random", "--seed", str(number))
        self.observer.publish(f"{root}/availability", b"", retain=True)
        program = self._start_program(f"basket-{number}", "mqtt_controller", *arguments, environment=environment)
        await self._healthy(program, f"{root}/availability", lambda payload: payload == b"online")

    async def _start_printer(self) -> None:
        arguments = ("--speed", str(self.replay_speed))
        environment = self.account("printer").environment()
        program = self._start_program("printer", "development.printer_replay", *arguments, environment=environment)
        await self._healthy(program, PRINTER_TOPIC, lambda payload: b'"state"' in payload)

    async def _start_source(self) -> None:
        environment = self.account("source").environment()
        program = self._start_program("source", "development.data_source", environment=environment)
        await self._healthy(program, "devices/vm-a/ingress", lambda payload: b"GPS.Latitude" in payload)

    async def _see_entities(self) -> None:
        known = {"unknown", "unavailable"}
        for pattern in (r"sensor\..*_session", r"sensor\.printer_.*_state", r"sensor\..*_gps_latitude"):
            await self.api.wait_for_state(pattern, lambda state: state not in known)

    def _start_program(self, name: str, module: str, *arguments: str, environment: dict[str, str]) -> Program:
        program = Program(
            name,
            (sys.executable, "-m", module, *arguments),
            self.directory / "logs" / f"{name}.log",
            {"PYTHONUNBUFFERED": "1", **mark(self.directory), **environment},
        )
        program.start()
        self.programs[name] = program
        return program

    async def _healthy(self, program: Program, topic: str, accepts: Callable[[bytes], bool]) -> None:
        """Wait until the program publishes what it should; a program that ends says why at once."""
        seen = asyncio.create_task(self.observer.wait_for(topic, 20, f"{program.name} published nothing", accepts))
        try:
            while not (await asyncio.wait([seen], timeout=0.1))[0]:
                program.check()
            await seen
        finally:
            seen.cancel()

    def _load_passwords(self) -> dict[str, str]:
        """Return a password for each user, the same at every start; nobody but this system user may read them."""
        path = self.directory / "passwords.json"
        passwords: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        for user in (*BROKER_USERS, "developer"):
            passwords.setdefault(user, secrets.token_urlsafe(12))
        whole = path.with_suffix(".new")
        whole.touch(mode=0o600)
        whole.write_text(json.dumps(passwords, indent=2))
        whole.replace(path)
        return passwords


def _require_free(port: int, whose: str, option: str) -> None:
    with socket.socket() as probe:
        # As a server does it: connections that are only closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            reason = re.sub(r"^\[Errno \d+\] ", "", str(error)).lower()
            raise PortTakenError(f"{whose} {port} cannot be used ({reason}); choose another with {option}.") from None
