"""The resolver layer: a catalog compiled to prepared outputs, at load instead of for each message."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import orjson

from communicator.topics import wildcards
from data_bridge.catalog.casts import Cast, Value
from data_bridge.catalog.model import Catalog, Rule
from data_bridge.catalog.payload_templates import PayloadTemplate, prepare_payload
from data_bridge.catalog.readers import Reader
from data_bridge.catalog.text_templates import prepare_template
from data_bridge.pipeline.connection import FilterMatch, PreparedPublish
from data_bridge.pipeline.device_state import DeviceState

type Prepare = Callable[[str, int, bool], PreparedPublish]

# No tag holds it: schema.py refuses it.
KEY_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Output:
    """One device's output of an object; `prepared` is None where no transport reaches the device."""

    device: str
    topic: str
    qos: int
    prepared: PreparedPublish | None
    state: DeviceState | None  # None: not announced
    template: PayloadTemplate | None = None
    retain: bool = False


type Target = tuple[PreparedPublish, DeviceState | None, Output]


@dataclass(frozen=True, slots=True)
class Fanout:
    """The outputs of an object to all its devices. `head` is the standard payload up to the value.

    `targets` is for the hot path: empty unless all outputs have the same payload and the same QoS. `qos1` tells whether
    that QoS is 1. With many thousand rules each object that a message touches is a cache miss, so the data for each
    message is here, and the outputs themselves are not read.
    """

    object: str
    head: bytes
    outputs: tuple[Output, ...]
    targets: tuple[Target, ...]
    qos1: bool


def make_fanout(name: str, outputs: tuple[Output, ...]) -> Fanout:
    """Return the fan-out to these outputs."""
    qos1 = all(each.qos for each in outputs)
    alike = qos1 or not any(each.qos for each in outputs)
    alike = alike and all(each.prepared is not None and each.template is None for each in outputs)
    targets = tuple((each.prepared, each.state, each) for each in outputs if alike and each.prepared is not None)
    return Fanout(name, encode_head(name), outputs, targets, qos1)


@dataclass(frozen=True, slots=True)
class EnvelopeRule:
    """The rule of an envelope's key; see `envelope_key`."""

    rule: Rule
    cast: Cast
    fanout: Fanout


@dataclass(frozen=True, slots=True)
class TopicRule:
    """A rule for one topic: the reader of the value, and the fan-out.

    `fanout` is None when the device catalog does not have the name that the template made, or has another type for it;
    `unknown` is the detail of the rejection.
    """

    rule: Rule
    topic_filter: str
    read: Reader
    object: str
    fanout: Fanout | None
    unknown: str = ""


type _NameTemplate = Callable[[dict[str, str]], str]


@dataclass(frozen=True, slots=True)
class CompiledCatalog:
    """The look-up tables of the pipeline, swapped as a whole between two messages."""

    catalog: Catalog
    envelope_rules: dict[str, EnvelopeRule]
    fanouts: dict[str, Fanout]
    filters: dict[str, int]  # the topic rules' filters with their QoS
    _rules: dict[str, list[tuple[Rule, _NameTemplate | None]]]

    def topic_rules(self, matches: Iterable[FilterMatch]) -> tuple[TopicRule, ...]:
        """Return the rules of filters that match a topic, of each filter in the catalog's order."""
        return tuple(
            self._topic_rule(rule, fill, match)
            for match in matches
            for rule, fill in self._rules.get(match.topic_filter, ())
        )

    def _topic_rule(self, rule: Rule, fill: _NameTemplate | None, match: FilterMatch) -> TopicRule:
        name = rule.object
        if fill is not None:
            name = fill({str(number): text for number, text in enumerate(match.captured, 1)})
        described = self.catalog.objects.get(name)
        if described is None:
            unknown = f"the device catalog does not know {name}"
        elif described.value_type is not rule.value_type:
            unknown = f"the device catalog knows {name} as {described.value_type}, and the rule makes {rule.value_type}"
        else:
            return TopicRule(rule, match.topic_filter, rule.read, name, self.fanouts[name])
        return TopicRule(rule, match.topic_filter, rule.read, name, None, unknown)


def envelope_key(equip_tag: str, message_id: str) -> str:
    """Return the key of an envelope rule: one text is compared faster than a pair."""
    return equip_tag + KEY_SEPARATOR + message_id


def encode_head(name: str) -> bytes:
    """Return the standard payload of an object up to its value: `{"object":"GPS.Latitude","value":`."""
    return orjson.dumps({"object": name, "value": 0})[:-2]


def compile_catalog(catalog: Catalog, prepare: Prepare, states: Mapping[str, DeviceState]) -> CompiledCatalog:
    """Return the catalog with all its topics encoded by `prepare`; values go to those of `states` that hold them."""
    fanouts = _Resolver(catalog, prepare, states).fanouts()
    envelope_rules: dict[str, EnvelopeRule] = {}
    filters: dict[str, int] = {}
    topic_rules: dict[str, list[tuple[Rule, _NameTemplate | None]]] = {}
    for rule in catalog.rules:
        if rule.topic is not None:
            places = frozenset(str(number + 1) for number in range(wildcards(rule.topic)))
            fill = prepare_template(rule.object, places) if rule.templated else None
            topic_rules.setdefault(rule.topic, []).append((rule, fill))
            filters[rule.topic] = max(rule.qos, filters.get(rule.topic, 0))
        elif rule.equip_tag is not None and rule.message_id is not None:
            key = envelope_key(rule.equip_tag, rule.message_id)
            envelope_rules[key] = EnvelopeRule(rule, rule.cast, fanouts[rule.object])
    return CompiledCatalog(catalog, envelope_rules, fanouts, filters, topic_rules)


class _Resolver:
    """The resolver layer: object to prepared deliveries. Each topic is encoded once, however many objects go there."""

    def __init__(self, catalog: Catalog, prepare: Prepare, states: Mapping[str, DeviceState]) -> None:
        self._catalog = catalog
        self._prepare = prepare
        self._states = states
        self._prepared: dict[tuple[str, int, bool], PreparedPublish] = {}
        self._outputs: dict[tuple[str, str, bool], Output] = {}
        self._ways: dict[tuple[int, ...], Fanout] = {}

    def fanouts(self) -> dict[str, Fanout]:
        return {each.name: self._fanout(each.name, each.devices) for each in self._catalog.objects.values()}

    def _fanout(self, name: str, devices: Iterable[str]) -> Fanout:
        outputs = tuple(self._output(name, identifier) for identifier in devices)
        # Objects with the same devices share their outputs, which stay in the processor's caches.
        key = tuple(map(id, outputs))
        known = self._ways.get(key)
        if known is None:
            known = self._ways[key] = make_fanout(name, outputs)
        return Fanout(name, encode_head(name), known.outputs, known.targets, known.qos1)

    def _output(self, name: str, identifier: str) -> Output:
        state = self._states.get(identifier)
        if state is not None and name not in state.object_types:
            state = None
        mqtt = self._catalog.devices[identifier].mqtt
        if mqtt is None:
            return Output(identifier, "", 0, None, state)
        topic = mqtt.topic_for(identifier, name)
        key = (topic, mqtt.qos, mqtt.retain)
        prepared = self._prepared.get(key)
        if prepared is None:
            prepared = self._prepared[key] = self._prepare(*key)
        if mqtt.payload is not None:
            template = prepare_payload(mqtt.payload, identifier, name)
            return Output(identifier, topic, mqtt.qos, prepared, state, template, mqtt.retain)
        place = (identifier, topic, state is None)
        output = self._outputs.get(place)
        if output is None:
            output = self._outputs[place] = Output(identifier, topic, mqtt.qos, prepared, state, None, mqtt.retain)
        return output


def encode(fanout: Fanout, value: Value) -> bytes:
    """Return the standard payload: `{"object":…,"value":…}`."""
    return fanout.head + orjson.dumps(value) + b"}"
