"""The result of every layer for one message, without sending anything: for `try` and the `trace` command."""

from collections.abc import Iterable
from dataclasses import dataclass

from data_bridge.catalog.casts import Raw, Value
from data_bridge.catalog.readers import NoJson
from data_bridge.pipeline.resolver import Fanout, encode
from data_bridge.pipeline.ways import Found, Layer, Refusal, Way, size_refusal
from data_bridge.reasons import Reason


@dataclass(frozen=True, slots=True)
class IngressEvent:
    """Result of the input layer."""

    trace_id: str
    raw: Raw
    topic: str
    bytes: int


@dataclass(frozen=True, slots=True)
class MappedEvent:
    """Result of the mapping layer."""

    object: str
    value: Value
    value_type: str


@dataclass(frozen=True, slots=True)
class ResolvedEvent:
    """Result of the resolver: the devices."""

    object: str
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """Result of the transport for one device."""

    device: str
    transport: str
    topic: str
    qos: int
    retain: bool
    payload: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """The rejection of a message, or of a part of it."""

    layer: str
    reason: str
    detail: str


type Step = IngressEvent | MappedEvent | ResolvedEvent | Delivery | Skipped


def explain(ways: Iterable[Way], topic: str, payload: bytes, *, maximum_bytes: int) -> list[Step]:
    """Return every layer's output for one message of a topic with these ways, one way after the other."""
    ways = list(ways)
    if not 0 < len(payload) <= maximum_bytes:
        return [_skipped(size_refusal(len(payload), maximum_bytes))] * max(len(ways), 1)
    steps: list[Step] = []
    for way in ways:
        steps += _follow(way, topic, payload)
    return steps or [_skipped(Refusal(Reason.UNKNOWN_KEY, f"no rule for the topic {topic}"))]


def _follow(way: Way, topic: str, payload: bytes) -> list[Step]:
    try:
        opened = way.open(payload)
    except Refusal as refusal:
        return [_skipped(refusal)]
    raw = payload.decode(errors="replace") if isinstance(opened.content, NoJson) else opened.content
    steps: list[Step] = [IngressEvent(opened.trace_id, raw, topic, len(payload))]
    mapped = way.map(opened, payload)
    for found in mapped.found:
        steps.append(_mapped(found))
        steps += _resolved(found.fanout, found.value, opened.trace_id)
    for missed in mapped.missed:
        if missed.found is not None:
            steps.append(_mapped(missed.found))
        steps.append(_skipped(missed.refusal))
    return steps


def _mapped(found: Found) -> MappedEvent:
    return MappedEvent(found.fanout.object, found.value, found.rule.rule.value_type.value)


def _skipped(refusal: Refusal) -> Skipped:
    return Skipped(refusal.layer, refusal.reason, refusal.detail)


def _resolved(fanout: Fanout, value: Value, trace_id: str) -> list[Step]:
    steps: list[Step] = [ResolvedEvent(fanout.object, tuple(output.device for output in fanout.outputs))]
    for output in fanout.outputs:
        if output.prepared is None:
            steps.append(Skipped(Layer.TRANSPORT, Reason.NO_TRANSPORT, f"{output.device} is reached over SignalR only"))
            continue
        payload = encode(fanout, value) if output.template is None else output.template(value, trace_id)
        steps.append(
            Delivery(output.device, "mqtt", output.topic, output.qos, output.retain, payload.decode(errors="replace"))
        )
    return steps
