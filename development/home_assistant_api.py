"""Home Assistant's own WebSocket and REST API, as a user's browser speaks it.

The formats are those of https://developers.home-assistant.io/docs/api/websocket and …/api/rest.
"""

import asyncio
import contextlib
import itertools
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Self

import aiohttp

# Any loopback address is a client id that Home Assistant accepts; see its IndieAuth rules.
CLIENT_ID = "http://127.0.0.1/"

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
type JsonObject = dict[str, Json]


class ApiError(RuntimeError):
    """Home Assistant refused a call; the text is its own."""


class HomeAssistantApi:
    """One logged-in connection. Close it, or use it as a context manager."""

    def __init__(self, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse, token: str) -> None:
        self._session = session
        self._socket = socket
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[JsonObject]] = {}
        self._listeners: dict[int, Callable[[JsonObject], None]] = {}
        self.token = token
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, url: str, code: str) -> Self:
        """Exchange a login code for a token and open the WebSocket.

        Raises:
            ApiError: the code is not valid.
        """
        session = aiohttp.ClientSession(url)
        try:
            token = await _exchange(session, code)
            socket = await _open(session, token)
        except BaseException:
            await session.close()
            raise
        return cls(session, socket, token)

    async def close(self) -> None:
        """End the connection."""
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        await self._socket.close()
        await self._session.close()

    async def __aenter__(self) -> Self:
        """Return the connection, which is open."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the connection."""
        await self.close()

    async def call(self, kind: str, **message: Json) -> Json:
        """Send one WebSocket command and return its result.

        Raises:
            ApiError: Home Assistant answered with an error, or the connection ended.
        """
        return await self._call(next(self._ids), kind, message)

    @contextlib.asynccontextmanager
    async def subscribe(
        self, kind: str, listener: Callable[[JsonObject], None], **message: Json
    ) -> AsyncIterator[None]:
        """Call `listener` with every event of a subscription while the context lasts."""
        number = next(self._ids)
        self._listeners[number] = listener
        try:
            await self._call(number, kind, message)
            yield
            await self.call("unsubscribe_events", subscription=number)
        finally:
            del self._listeners[number]

    async def state(self) -> str:
        """Return the state of the core, such as STARTING or RUNNING."""
        configuration = await self.call("get_config")
        assert isinstance(configuration, dict)  # noqa: S101 -- the API's contract, for the type checker
        return str(configuration["state"])

    async def action(self, domain: str, action: str, data: JsonObject, target: JsonObject | None = None) -> Json:
        """Call an action as an automation does."""
        return await self.call("call_service", domain=domain, service=action, service_data=data, target=target or {})

    async def states(self) -> dict[str, JsonObject]:
        """Return all states by entity id."""
        states = await self.call("get_states")
        assert isinstance(states, list)  # noqa: S101 -- the API's contract, for the type checker
        return {str(state["entity_id"]): state for state in states if isinstance(state, dict)}

    async def wait_for_state(self, pattern: str, accepts: Callable[[str], bool], timeout: float = 30) -> JsonObject:  # noqa: ASYNC109 -- the text of the error names what was waited for
        """Wait until an entity whose id matches `pattern` whole has an accepted state, and return that state.

        Raises:
            ApiError: none did in time; the text has the states there were.
        """
        found: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        last: dict[str, str] = {}

        def look(state: Json) -> None:
            if not isinstance(state, dict) or not re.fullmatch(pattern, str(state["entity_id"])):
                return
            last[str(state["entity_id"])] = str(state["state"])
            if accepts(str(state["state"])) and not found.done():
                found.set_result(state)

        def changed(event: JsonObject) -> None:
            data = event.get("data")
            if isinstance(data, dict):
                look(data.get("new_state"))

        async with self.subscribe("subscribe_events", changed, event_type="state_changed"):
            for state in (await self.states()).values():
                look(state)
            try:
                return await asyncio.wait_for(found, timeout)
            except TimeoutError:
                raise ApiError(f"no state of {pattern} was accepted within {timeout} s; there were {last}") from None

    async def entries(self, domain: str) -> list[JsonObject]:
        """Return the config entries of an integration, with `entry_id` and `state`."""
        entries = await self.call("config_entries/get", domain=domain)
        assert isinstance(entries, list)  # noqa: S101 -- the API's contract, for the type checker
        return [entry for entry in entries if isinstance(entry, dict)]

    async def configure(self, domain: str, *answers: JsonObject, entry_id: str | None = None) -> JsonObject:
        """Walk a config flow, or the reconfigure flow of an entry, giving one answer to each of its forms.

        Raises:
            ApiError: the flow showed errors, aborted, or wanted more answers.
        """
        path = "/api/config/config_entries/flow"
        start: JsonObject = {"handler": domain} if entry_id is None else {"handler": domain, "entry_id": entry_id}
        step = await self._post(path, start)
        for answer in answers:
            if step.get("type") != "form":
                break
            step = await self._post(f"{path}/{step['flow_id']}", answer)
        if step.get("type") == "create_entry" or str(step.get("reason", "")).startswith("reconfigure_successful"):
            return step
        raise ApiError(f"the config flow of {domain} ended with {_short(step)}")

    async def _post(self, path: str, body: Mapping[str, Json]) -> JsonObject:
        async with self._session.post(path, json=body) as response:
            text = await response.text()
            if not response.ok:
                raise ApiError(f"{path}: {response.status} {text}")
            answer: JsonObject = await response.json()
            return answer

    async def _call(self, number: int, kind: str, message: Mapping[str, Json]) -> Json:
        if self._reader.done():
            raise ApiError("the connection to Home Assistant has ended")
        answer: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        await self._socket.send_json({"id": number, "type": kind, **message})
        result = await answer
        if not result.get("success"):
            raise ApiError(f"{kind}: {result.get('error')}")
        return result.get("result")

    async def _read(self) -> None:
        try:
            async for frame in self._socket:
                message: JsonObject = frame.json()
                number = int(str(message["id"]))
                if message["type"] == "event":
                    event = message["event"]
                    if number in self._listeners and isinstance(event, dict):
                        self._listeners[number](event)
                elif number in self._answers:
                    self._answers.pop(number).set_result(message)
        finally:
            for waiting in self._answers.values():
                if not waiting.done():
                    waiting.set_exception(ApiError("the connection to Home Assistant has ended"))


async def _exchange(session: aiohttp.ClientSession, code: str) -> str:
    grant = {"grant_type": "authorization_code", "code": code, "client_id": CLIENT_ID}
    async with session.post("/auth/token", data=grant) as response:
        answer = await response.json()
    if "access_token" not in answer:
        raise ApiError(f"no token: {answer}")
    token: str = answer["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    return token


async def _open(session: aiohttp.ClientSession, token: str) -> aiohttp.ClientWebSocketResponse:
    socket = await session.ws_connect("/api/websocket", max_msg_size=0)
    await socket.receive_json()
    await socket.send_json({"type": "auth", "access_token": token})
    if (await socket.receive_json())["type"] != "auth_ok":
        raise ApiError("the token was refused")
    return socket


def _short(step: JsonObject) -> dict[str, Json]:
    return {key: step[key] for key in ("type", "step_id", "reason", "errors") if step.get(key) is not None}
