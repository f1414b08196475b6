"""A real Home Assistant of our own: its folder, its process, its first user."""

import asyncio
import json
import os
import re
import shutil
import sys
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import aiohttp

from development.home_assistant_api import CLIENT_ID, HomeAssistantApi
from development.program import Program, ProgramFailedError

START_SECONDS = 180.0

# Not default_config: Bluetooth, cloud and the discovery of other people's devices have nothing to do here.
CONFIGURATION = """\
# Written anew at each start by scripts/develop; put your own settings into packages/*.yaml beside this file.
homeassistant:
  name: IoT Data Bridge
  country: KR
  currency: KRW
  time_zone: Asia/Seoul
  unit_system: metric
  packages: !include_dir_named packages
frontend:
config:
history:
logbook:
automation: !include automations.yaml
script: !include scripts.yaml
scene: !include scenes.yaml
lovelace:
  dashboards:
    iot-data-bridge:
      mode: yaml
      filename: dashboard.yaml
      title: Floor
      icon: mdi:bridge
      show_in_sidebar: true
logger:
  default: warning
  logs:
    custom_components.iot_data_bridge: info
"""


@dataclass(slots=True)
class HomeAssistant:
    """One Home Assistant on the loopback interface; everything it writes is in `directory`.

    The integration is linked from `integrations` (a checkout's custom_components folder), not copied.
    """

    directory: Path
    integrations: Path
    port: int
    username: str
    password: str = field(repr=False)
    process: Program = field(init=False)

    def __post_init__(self) -> None:
        """Name the process; it is not started."""
        hass = Path(sys.executable).with_name("hass")
        # What it needs is pinned and installed; at run time it must not reach out for more.
        arguments = (str(hass), "--config", str(self.directory), "--skip-pip", "--log-no-color")
        environment = {"PYTHONUNBUFFERED": "1", "PATH": os.pathsep.join([str(hass.parent), os.environ.get("PATH", "")])}
        self.process = Program("Home Assistant", arguments, self.directory / "console.log", environment)

    @property
    def url(self) -> str:
        """Return the address of the front end, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> HomeAssistantApi:
        """Start Home Assistant, give it its first user if it has none, and return a logged-in API when it is running.

        The caller closes the API.

        Raises:
            ProgramFailedError: it ended, or was not up in time; the text has its last lines.
        """
        self._write_folder()
        self.process.start()
        deadline = time.monotonic() + START_SECONDS
        await self._wait_until_it_answers(deadline)
        code = await self._onboard()
        api = await HomeAssistantApi.connect(self.url, code) if code else await self._log_in()
        while await api.state() != "RUNNING":
            await self._wait(deadline)
        return api

    def stop(self) -> int | None:
        """Ask Home Assistant to end, which saves its state, and return its exit status."""
        return self.process.stop()

    def _write_folder(self) -> None:
        storage = self.directory / ".storage"
        storage.mkdir(parents=True, exist_ok=True)
        (self.directory / "packages").mkdir(exist_ok=True)
        (self.directory / "configuration.yaml").write_text(CONFIGURATION)
        shutil.copy(Path(__file__).with_name("dashboard.yaml"), self.directory)
        for name in ("automations", "scripts", "scenes"):
            path = self.directory / f"{name}.yaml"
            if not path.exists():
                path.write_text("{}\n" if name == "scripts" else "[]\n")
        link = self.directory / "custom_components"
        if not link.is_symlink() or link.readlink() != self.integrations:
            link.unlink(missing_ok=True)
            link.symlink_to(self.integrations)
        # Version 1 of this store is the plain settings; Home Assistant migrates it. Its `http:` in YAML is deprecated
        # and read only once, which would leave a changed port without effect.
        http = {"server_host": ["127.0.0.1"], "server_port": self.port}
        _write_storage(storage / "http", version=1, data=http)
        if not (storage / "onboarding").exists():
            # All but the first user is answered: the other steps would set up services that need the internet.
            done = ["core_config", "analytics", "integration"]
            _write_storage(storage / "onboarding", version=4, data={"done": done})

    async def _wait(self, deadline: float) -> None:
        self.process.check()
        if time.monotonic() > deadline:
            raise ProgramFailedError(f"Home Assistant was not up within {START_SECONDS:.0f} s (see {self.process.log})")
        await asyncio.sleep(0.1)

    async def _wait_until_it_answers(self, deadline: float) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{self.url}/manifest.json") as response:
                        if response.status == HTTPStatus.OK:
                            # Somebody else may be the one who answers.
                            self.process.check()
                            return
                except aiohttp.ClientConnectionError:
                    pass
                if re.search(r"error while attempting to bind|Failed to create HTTP server", self.process.said()):
                    raise ProgramFailedError(f"Home Assistant could not listen on port {self.port}: it is taken")
                await self._wait(deadline)

    async def _onboard(self) -> str | None:
        """Make the first user and return a login code; None if there is a user already."""
        user = {
            "name": self.username.capitalize(),
            "username": self.username,
            "password": self.password,
            "client_id": CLIENT_ID,
            "language": "en",
        }
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/api/onboarding/users", json=user) as response,
        ):
            if response.status != HTTPStatus.OK:
                return None
            code: str = (await response.json())["auth_code"]
            return code

    async def _log_in(self) -> HomeAssistantApi:
        client = {"client_id": CLIENT_ID, "handler": ["homeassistant", None], "redirect_uri": CLIENT_ID}
        answer = {"client_id": CLIENT_ID, "username": self.username, "password": self.password}
        async with aiohttp.ClientSession(self.url) as session:
            async with session.post("/auth/login_flow", json=client) as response:
                flow = (await response.json())["flow_id"]
            async with session.post(f"/auth/login_flow/{flow}", json=answer) as response:
                result = await response.json()
        if result.get("type") != "create_entry":
            raise ProgramFailedError(
                f"Home Assistant does not know the user {self.username} with the password of the last start. "
                "scripts/develop --reset starts over."
            )
        return await HomeAssistantApi.connect(self.url, result["result"])


def _write_storage(path: Path, *, version: int, data: dict[str, object]) -> None:
    path.write_text(json.dumps({"version": version, "minor_version": 1, "key": path.name, "data": data}))
