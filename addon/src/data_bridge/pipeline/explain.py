"""What every layer makes of one message, without sending anything: for `try` and the `trace` command."""

from dataclasses import dataclass

import orjson

from data_bridge.catalog.casts import Raw, Value
from data_bridge.catalog.readers import NoJson, parse_document
from data_bridge.pipeline.input import open_envelope, trace_of
from data_bridge.pipeline.mapping import Refusal, apply_topic_rule, find_envelope
from data_bridge.pipeline.resolver import CompiledCatalog, Route, encode
from data_bridge.reasons import Reason


@dataclass(frozen=True, slots=True)
class IngressEvent:
    """What the input layer made of a message."""

    trace_id: str
    raw: Raw
    topic: str
    bytes: int


@dataclass(frozen=True, slots=True)
class MappedEvent:
    """What the mapping layer made of it."""

    object: str
    value: Value
    value_type: str


@dataclass(frozen=True, slots=True)
class ResolvedEvent:
    """Who gets it."""

    object: str
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one device would get."""

    device: str
    transport: str
    topic: str
    qos: int
    retain: bool
    payload: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """Why a message, or a part of it, went no further."""

    layer: str
    reason: str
    detail: str


type Step = IngressEvent | MappedEvent | ResolvedEvent | Delivery | Skipped


def explain(catalog: CompiledCatalog, topic: str, payload: bytes, *, ingress: bool, maximum_bytes: int) -> list[Step]:
    """Return every layer's output for one message; `ingress` tells that the topic carries envelopes."""
    if len(payload) > maximum_bytes:
        detail = f"{len(payload)} bytes, more than the allowed {maximum_bytes}"
        return [Skipped("input", Reason.TOO_LARGE, detail)]
    return _envelope(catalog, topic, payload) if ingress else _topic(catalog, topic, payload)


def _envelope(catalog: CompiledCatalog, topic: str, payload: bytes) -> list[Step]:
    try:
        message: Raw = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        return [Skipped("input", Reason.INVALID_JSON, str(error))]
    try:
        trace, body = open_envelope(message)
    except Refusal as refusal:
        return [Skipped("input", refusal.reason, refusal.detail)]
    trace_id = trace_of(trace)
    steps: list[Step] = [IngressEvent(trace_id, body, topic, len(payload))]
    try:
        rule, value = find_envelope(catalog.envelope_rules, body, payload)
    except Refusal as refusal:
        return [*steps, Skipped("mapping", refusal.reason, refusal.detail)]
    steps.append(MappedEvent(rule.route.object, value, rule.rule.value_type.value))
    return steps + _resolved(rule.route, value, trace_id)


def _topic(catalog: CompiledCatalog, topic: str, payload: bytes) -> list[Step]:
    document = parse_document(payload)
    raw = payload.decode(errors="replace") if isinstance(document, NoJson) else document
    steps: list[Step] = [IngressEvent("", raw, topic, len(payload))]
    rules = catalog.topic_rules(topic)
    if not rules:
        steps.append(Skipped("mapping", Reason.UNKNOWN_KEY, f"no rule for the topic {topic}"))
    for rule in rules:
        try:
            route, value = apply_topic_rule(rule, document, payload)
        except Refusal as refusal:
            steps.append(Skipped("mapping", refusal.reason, refusal.detail))
            continue
        steps.append(MappedEvent(route.object, value, rule.rule.value_type.value))
        steps += _resolved(route, value, "")
    return steps


def _resolved(route: Route, value: Value, trace_id: str) -> list[Step]:
    if not route.outputs:
        return [Skipped("resolver", Reason.NO_DEVICE, f"{route.object} goes to no device")]
    steps: list[Step] = [ResolvedEvent(route.object, tuple(output.device for output in route.outputs))]
    for output in route.outputs:
        if output.prepared is None:
            steps.append(Skipped("transport", Reason.NO_TRANSPORT, f"{output.device} is reached over SignalR only"))
            continue
        payload = encode(route, value) if output.template is None else output.template(value, trace_id)
        steps.append(
            Delivery(output.device, "mqtt", output.topic, output.qos, output.retain, payload.decode(errors="replace"))
        )
    return steps
