"""The commands on the topic `command`, and their results."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Annotated
from uuid import uuid4

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from data_bridge.catalog.casts import CastError, DigitsLostError, Raw, Value, as_written, prepare_cast
from data_bridge.catalog.model import CatalogObject
from data_bridge.catalog.near_misses import did_you_mean
from data_bridge.dead_letters.store import DeadLetterStoreError, StoredDeadLetter
from data_bridge.dead_letters.writer import DeadLetterWriter
from data_bridge.logs import get_logger
from data_bridge.pipeline.explain import explain
from data_bridge.pipeline.pipeline import Pipeline
from data_bridge.pipeline.resolver import Fanout, make_fanout
from data_bridge.reasons import Reason
from data_bridge.runtime.replay import Replay
from data_bridge.settings import Settings

_LOG = get_logger("data_bridge")
MAXIMUM_COMMAND_BYTES = 1024 * 1024
_MOST_REPLAYED = 1000


class CommandError(Exception):
    """A command that cannot be carried out; its text is the answer."""


def letter_reason(word: str) -> Reason:
    """Return the reason that a word names.

    Raises:
        ValueError: there is no such reason; it names those that there are.
    """
    try:
        return Reason(word)
    except ValueError:
        known = ", ".join(sorted(Reason))
        raise ValueError(f"there is no reason {word[:80]!r}{did_you_mean(word, Reason)}; there are {known}") from None


# The integers of SQLite.
type LetterNumber = Annotated[int, Field(ge=1, le=2**63 - 1)]
type LetterReason = Annotated[str, AfterValidator(letter_reason)]
type NumberOrZero = Annotated[int, Field(ge=0, le=2**63 - 1)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class _Command(_Data):
    id: str | int | None = None
    action: str
    data: dict[str, object] | None = None


class _Set(_Data):
    object: str
    value: bool | int | float | str
    device_id: str | None = None
    trace_id: str | None = None


class _Replay(_Data):
    ids: list[LetterNumber] | None = None
    after: NumberOrZero = 0
    reason: LetterReason | None = None
    limit: int = Field(default=_MOST_REPLAYED, ge=1, le=_MOST_REPLAYED)


class _Purge(_Data):
    ids: list[LetterNumber] | None = None
    older_than: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    all: bool = False


class _ListLetters(_Data):
    after: NumberOrZero = 0
    limit: int = Field(default=100, ge=1, le=1000)
    reason: LetterReason | None = None


class _Trace(_Data):
    trace_id: str | None = None
    topic: str | None = None
    payload: object = None


@dataclass(frozen=True, slots=True)
class CommandContext:
    """Parts of the bridge that commands use."""

    settings: Settings
    pipeline: Pipeline
    letters: DeadLetterWriter
    reload: Callable[[], Awaitable[dict[str, object]]]
    metrics: Callable[[], dict[str, object]]


type Answer = dict[str, object]
type _Action = Callable[[dict[str, object]], Awaitable[Answer]]


class Commands:
    """Carries out one command after the other."""

    def __init__(self, context: CommandContext) -> None:
        self._context = context
        self._replayer = Replay(context.settings, context.pipeline, context.letters)
        self._actions: dict[str, _Action] = {
            "reload": self._reload,
            "set": self._set,
            "replay": self._replay,
            "purge": self._purge,
            "dead_letters": self._list,
            "trace": self._trace,
            "metrics": self._metrics,
        }

    async def execute(self, payload: bytes) -> Answer:
        """Carry out a command message and return the result message, which also reports errors."""
        identifier: object = None
        try:
            document = _read(payload)
            identifier = _id_of(document)
            command = _Command.model_validate(document)
            data = await self._action(command.action)(command.data or {})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "command"
            return refusal(identifier, f"{where}: {first['msg'].removeprefix('Value error, ')}")
        except (CommandError, DeadLetterStoreError) as error:
            return refusal(identifier, str(error))
        except Exception:  # noqa: BLE001 -- every command is answered, and the next one is carried out
            _LOG.exception("command_failed")
            return refusal(identifier, "an internal error, see the bridge's log")
        return {"id": identifier, "ok": True, "error": None, "data": data}

    def _action(self, name: str) -> _Action:
        action = self._actions.get(name)
        if action is None:
            known = ", ".join(sorted(self._actions))
            raise CommandError(f"unknown action {name[:80]!r}{did_you_mean(name, self._actions)}; known: {known}")
        return action

    async def _reload(self, _: dict[str, object]) -> Answer:
        return await self._context.reload()

    async def _metrics(self, _: dict[str, object]) -> Answer:
        return self._context.metrics()

    # ------------------------------------------------------------ set

    async def _set(self, data: dict[str, object]) -> Answer:
        """Write a value through the casts of mapping, the resolver's outputs and the transport."""
        wanted = _Set.model_validate(data)
        catalog = self._context.pipeline.catalog
        each = catalog.catalog.objects.get(wanted.object)
        fanout = catalog.fanouts.get(wanted.object)
        if each is None or fanout is None:
            near = did_you_mean(wanted.object, catalog.catalog.objects)
            raise CommandError(f"there is no object {wanted.object[:80]!r}{near}")
        if each.access != "rw":
            raise CommandError(f"{each.name} is read-only; give it `access: rw` in the catalog to let it be set")
        value = _checked(each, wanted.value)
        outputs = fanout.outputs
        if wanted.device_id is not None:
            outputs = tuple(output for output in outputs if output.device.lower() == wanted.device_id.lower())
            if not outputs:
                raise CommandError(f"{each.name} does not go to a device {wanted.device_id[:80]!r}")
        if not outputs:
            raise CommandError(f"{each.name} goes to no device")
        trace_id = wanted.trace_id or str(uuid4())
        delivered = await self._deliver(make_fanout(each.name, outputs), value, trace_id)
        if not delivered:
            raise CommandError(f"{each.name} could not be delivered; it is among the dead letters (trace {trace_id})")
        devices = [output.device for output in outputs]
        return {"object": each.name, "value": value, "devices": devices, "trace_id": trace_id}

    async def _deliver(self, fanout: Fanout, value: Value, trace_id: str) -> bool:
        done = _Outcome()
        self._context.pipeline.transport.deliver_all(
            [(fanout, value)], None, trace_id, 0, perf_counter_ns(), done.set_result
        )
        return await done.wait()

    # ------------------------------------------------------------ dead letters

    async def _list(self, data: dict[str, object]) -> Answer:
        wanted = _ListLetters.model_validate(data)
        letters = self._context.letters
        found = await letters.call(lambda store: store.find_all(wanted.limit, wanted.after, wanted.reason))
        total = await letters.call(lambda store: store.count())
        return {"total": total, "dead_letters": [describe_letter(each) for each in found]}

    async def _purge(self, data: dict[str, object]) -> Answer:
        wanted = _Purge.model_validate(data)
        if (wanted.ids is not None) + (wanted.older_than is not None) + wanted.all != 1:
            # Deletion needs an explicit choice.
            raise CommandError("purge takes one of ids, older_than (a Unix time) and all (true)")
        if wanted.ids is not None:
            numbers = wanted.ids
            removed = await self._context.letters.call(lambda store: store.remove(numbers))
        else:
            removed = await self._context.letters.call(lambda store: store.purge(wanted.older_than))
        return {"purged": removed}

    async def _replay(self, data: dict[str, object]) -> Answer:
        wanted = _Replay.model_validate(data)
        letters = self._context.letters
        if wanted.ids is not None:
            numbers = wanted.ids[:_MOST_REPLAYED]
            found = await letters.call(lambda store: [store.get(number) for number in numbers])
            chosen = [each for each in found if each is not None]
            missing = len(found) - len(chosen)
            if missing and not chosen:
                raise CommandError(f"there is no dead letter {', '.join(map(str, numbers[:20]))}")
        else:
            chosen = await letters.call(lambda store: store.find_all(wanted.limit, wanted.after, wanted.reason))
            missing = 0
        outcomes: Answer = {**await self._replayer.replay(chosen)}
        return {**outcomes, "not_found": missing} if missing else outcomes

    # ------------------------------------------------------------ trace

    async def _trace(self, data: dict[str, object]) -> Answer:
        """Return where a trace is, or the result of each layer for a message."""
        wanted = _Trace.model_validate(data)
        if wanted.trace_id is not None:
            return await self._find_trace(wanted.trace_id)
        if wanted.payload is None:
            raise CommandError("trace needs a trace_id, or a payload and perhaps a topic")
        payload = wanted.payload.encode() if isinstance(wanted.payload, str) else orjson.dumps(wanted.payload)
        ingress = self._context.settings.ingress
        topic = wanted.topic or ingress.topics[0]
        ways = self._context.pipeline.ways.of_topic(topic)
        steps = explain(ways, topic, payload, maximum_bytes=ingress.maximum_bytes)
        return {"steps": [{"layer": type(step).__name__, **_plain(step)} for step in steps]}

    async def _find_trace(self, trace_id: str) -> Answer:
        pipeline = self._context.pipeline
        seen = pipeline.deduplication
        found = await self._context.letters.call(lambda store: store.find(trace_id))
        return {
            "trace_id": trace_id,
            "in_flight": trace_id in pipeline.transport.in_flight,
            "delivered": trace_id in seen.current or trace_id in seen.previous,
            "dead_letters": [describe_letter(each) for each in found],
        }


def refusal(identifier: object, error: str) -> Answer:
    """Return the result message of a command that was not carried out."""
    return {"id": identifier, "ok": False, "error": error, "data": None}


def command_id(payload: bytes) -> object:
    """Return the id of a command message, None when it has none."""
    try:
        return _id_of(_read(payload))
    except CommandError:
        return None


def _id_of(document: object) -> object:
    identifier = document.get("id") if isinstance(document, dict) else None
    return identifier if isinstance(identifier, str | int) else None


def _read(payload: bytes) -> object:
    if len(payload) > MAXIMUM_COMMAND_BYTES:
        raise CommandError(f"the command has {len(payload)} bytes, more than {MAXIMUM_COMMAND_BYTES}")
    try:
        document: object = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise CommandError(f"the command is no JSON: {error}") from error
    return document


def _plain(step: object) -> dict[str, object]:
    document: dict[str, object] = orjson.loads(orjson.dumps(step))
    return document


def _checked(each: CatalogObject, raw: Raw) -> Value:
    try:
        cast = prepare_cast(each.value_type)
        try:
            value = cast(raw)
        except DigitsLostError:
            value = cast(as_written(raw))
    except CastError as error:
        raise CommandError(f"{each.name}: {error}") from error
    if isinstance(value, int | float) and not isinstance(value, bool):
        if each.min is not None and value < each.min:
            raise CommandError(f"{each.name}: {value} is below its minimum {each.min:g}")
        if each.max is not None and value > each.max:
            raise CommandError(f"{each.name}: {value} is above its maximum {each.max:g}")
    if each.options is not None and value not in each.options:
        raise CommandError(f"{each.name}: {str(value)[:80]!r} is none of its options: {', '.join(each.options)}")
    return value


def describe_letter(each: StoredDeadLetter) -> Answer:
    """Return a dead letter as results and the command line show it."""
    letter = each.letter
    return {
        "id": each.id,
        "stored": round(each.stored, 3),
        "kind": "input" if each.is_input else "delivery",
        "reason": letter.reason.value,
        "detail": letter.detail,
        "trace_id": letter.trace_id,
        "device": letter.device or None,
        "object": letter.object or None,
        "origin": letter.origin.kind.value or None,
        "filters": list(letter.origin.filters),
        "topic": letter.topic,
        "qos": letter.qos,
        "attempts": letter.attempts,
        "bytes": len(letter.payload) + letter.cut,
        "truncated": letter.cut > 0,
        "payload": letter.payload[:4096].decode(errors="replace"),
    }


class _Outcome:
    """A future that the transport completes."""

    def __init__(self) -> None:

        self._future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def set_result(self, delivered: bool) -> None:
        if not self._future.done():
            self._future.set_result(delivered)

    async def wait(self) -> bool:
        return await self._future
