"""What is answered to commands that cannot be carried out."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from data_bridge.damaged_files import DamagedFiles
from data_bridge.dead_letters.letter import DeadLetter
from data_bridge.dead_letters.store import DeadLetterStore
from data_bridge.dead_letters.writer import DeadLetterWriter
from data_bridge.logs import get_logger
from data_bridge.reasons import Reason
from data_bridge.runtime.commands import Answer, CommandContext, Commands, command_id
from data_bridge.settings import Settings
from tests.data_bridge.carried import Carried
from tests.data_bridge.connections import not_damaged

MAPPINGS = """\
mappings:
  - {equip_tag: t, message_id: m, object: Engine.Speed, value_type: float, access: rw}
  - {equip_tag: t, message_id: n, object: Engine.Mode, value_type: text, access: rw}
"""
DEVICES = "objects: {Engine.Speed: [VM-A], Engine.Mode: [VM-A]}\n"


class Commanded:
    """Commands on a catalog of two objects, and a store with one letter."""

    def __init__(self, folder: Path) -> None:
        self.carried = Carried(folder, MAPPINGS, DEVICES)
        store = DeadLetterStore(folder / "letters.sqlite", 100, 1024 * 1024)
        store.add([DeadLetter(Reason.REFUSED, "0x97", "u9", "VM-A", "X", "devices/vm-a/ingress", 1, False, b"old", 3)])
        self.letters = DeadLetterWriter(store, get_logger("test"), DamagedFiles(not_damaged))
        self._commands = Commands(
            CommandContext(Settings(), self.carried.pipeline, self.letters, self._reload, self._metrics)
        )

    async def _reload(self) -> Answer:
        raise RuntimeError("a defect")

    def _metrics(self) -> Answer:
        return {}

    async def sent(self) -> None:
        """Wait until something is published."""
        async with asyncio.timeout(10):
            while not self.carried.payloads:  # noqa: ASYNC110 -- the scripted broker has no event
                await asyncio.sleep(0)

    async def answer(self, action: str, **data: object) -> Answer:
        """Return the result of a command whose id is `a command`."""
        result = await self._commands.execute(orjson.dumps({"id": "a command", "action": action, "data": data}))
        assert result["id"] == "a command"
        return result

    async def error(self, action: str, **data: object) -> str:
        """Return why a command is refused."""
        result = await self.answer(action, **data)
        assert (result["ok"], result["data"]) == (False, None)
        return str(result["error"])


@pytest.fixture
async def commanded(tmp_path: Path) -> AsyncIterator[Commanded]:
    made = Commanded(tmp_path)
    yield made
    await made.letters.close()


async def test_an_internal_error_answers_with_the_id_of_its_command(commanded: Commanded) -> None:
    assert await commanded.error("reload") == "an internal error, see the bridge's log"


async def test_a_letter_that_there_is_not_is_told(commanded: Commanded) -> None:
    assert await commanded.error("replay", ids=[99]) == "there is no dead letter 99"


async def test_letters_that_are_not_there_are_counted_beside_those_that_are(commanded: Commanded) -> None:
    asking = asyncio.ensure_future(commanded.answer("replay", ids=[1, 99]))
    await commanded.sent()
    commanded.carried.forget()
    data = (await asking)["data"]
    assert isinstance(data, dict)
    assert (data["replayed"], data["not_found"]) == (1, 1)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"older_than": None},
        {"ids": None},
        {"all": False},
        {"older_than": -1},
        {"older_than": 0},
        {"older_than": "nan"},
        {"ids": [1], "all": True},
        {"ids": [1], "older_than": 1e12},
        {"ids": [0]},
        {"all": 1},
    ],
)
async def test_a_purge_that_does_not_say_what_deletes_nothing(commanded: Commanded, data: dict[str, object]) -> None:
    assert await commanded.error("purge", **data)
    assert await commanded.letters.call(lambda store: store.count()) == 1


@pytest.mark.parametrize(
    ("data", "purged"), [({"all": True}, 1), ({"ids": [1, 2]}, 1), ({"ids": []}, 0), ({"older_than": 1e12}, 1)]
)
async def test_a_purge_deletes_what_it_names(commanded: Commanded, data: dict[str, object], purged: int) -> None:
    assert (await commanded.answer("purge", **data))["data"] == {"purged": purged}
    assert await commanded.letters.call(lambda store: store.count()) == 1 - purged


@pytest.mark.parametrize("action", ["replay", "dead_letters"])
async def test_a_number_that_no_letter_can_have_is_told(commanded: Commanded, action: str) -> None:
    assert "after: Input should be less than or equal to" in await commanded.error(action, after=2**63)
    assert "after: Input should be greater than or equal to 0" in await commanded.error(action, after=-1)


@pytest.mark.parametrize("action", ["replay", "dead_letters"])
async def test_a_reason_that_there_is_not_is_told_with_those_that_there_are(commanded: Commanded, action: str) -> None:
    error = await commanded.error(action, reason="cast_failedx")
    assert error.startswith(
        "reason: there is no reason 'cast_failedx' (did you mean 'cast_failed'?); there are cast_failed,"
    )


async def test_near_misses_of_actions_and_objects_are_told(commanded: Commanded) -> None:
    assert "(did you mean 'reload'?)" in await commanded.error("reloadx")
    assert "(did you mean 'Engine.Speed'?)" in await commanded.error("set", object="engine.speed", value=1)


async def test_a_text_may_be_set_to_a_number(commanded: Commanded) -> None:
    asking = asyncio.ensure_future(commanded.answer("set", object="Engine.Mode", value=1.5))
    await commanded.sent()
    assert commanded.carried.value == "1.5"
    commanded.carried.forget()
    assert (await asking)["ok"]


@pytest.mark.parametrize(
    ("payload", "identifier"),
    [
        (b'{"id":7}', 7),
        (b'{"id":"x","action":5}', "x"),
        (b'{"id":[1]}', None),
        (b"[]", None),
        (b"{", None),
        (b"", None),
    ],
)
def test_a_command_has_an_id_or_none(payload: bytes, identifier: object) -> None:
    assert command_id(payload) == identifier
