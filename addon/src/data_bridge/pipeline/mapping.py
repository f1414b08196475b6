"""The mapping layer: from a parsed message to values, each handed to the transport with its route."""

from data_bridge.catalog.casts import CastError
from data_bridge.dead_letters.letter import DeadLetter, Origin, OriginKind
from data_bridge.pipeline.rejections import Incoming, Note, Part, Reject
from data_bridge.pipeline.transport import Transport
from data_bridge.pipeline.ways import MappedMessage, Opened, TopicWay, Ways


class Mapping:
    """Looks up the rule, casts the value, and hands both to the transport."""

    envelope_origin = Origin(OriginKind.ENVELOPE)

    def __init__(
        self,
        ways: Ways,
        transport: Transport,
        reject: Reject,
        note: Note,
        part: Part,
        *,
        ordered: bool,
        topics_ordered: bool,
    ) -> None:
        self._transport = transport
        self._deliver = transport.deliver
        self._deliver_qos0 = transport.deliver_qos0
        self._reject = reject
        self._note = note
        self._part = part
        self._ordered = ordered
        self.topics_ordered = topics_ordered
        self.swap(ways)

    def swap(self, ways: Ways) -> None:
        """Use the ways of another catalog from the next message on."""
        self.ways = ways
        self._rules = ways.catalog.envelope_rules

    def map_envelope(
        self,
        body: dict[str, str],
        identity: str | None,
        trace_id: str,
        topic: str,
        payload: bytes,
        ack_token: int,
        started: int,
    ) -> None:
        """Map the payload of an envelope, EnvelopeWay.map in fewer steps; its type is found out by trying."""
        try:
            rule = self._rules[body["Equip.Tag"] + "\x1f" + body["Message.ID"]]  # envelope_key() without the call
            value = rule.cast(body["VALUE"])
            fanout = rule.fanout
        except (KeyError, TypeError, IndexError, CastError):
            mapped = self._map_slowly(body, trace_id, payload)
            if not mapped.found:
                incoming = Incoming(topic, payload, ack_token, self.envelope_origin, trace_id)
                self._reject(mapped.missed[0].refusal, incoming)
                return
            (found,) = mapped.found
            fanout, value = found.fanout, found.value
        if fanout.targets and not self._ordered:
            if fanout.qos1:
                self._deliver(fanout, value, identity, trace_id, ack_token, started, hash(payload))
            else:
                self._deliver_qos0(fanout, value, identity, trace_id, ack_token, started, hash(payload))
        elif fanout.outputs:
            self._transport.deliver_all([(fanout, value)], identity, trace_id, ack_token, started, digest=hash(payload))
        else:
            (missed,) = self._map_slowly(body, trace_id, payload).missed
            self._reject(missed.refusal, Incoming(topic, payload, ack_token, self.envelope_origin, trace_id))

    def _map_slowly(self, body: object, trace_id: str, payload: bytes) -> MappedMessage:
        return self.ways.envelopes.map(Opened(trace_id, body), payload)  # type: ignore[arg-type]  # a part of JSON

    def map_topic(
        self, way: TopicWay, topic: str, payload: bytes, ack_token: int, started: int, packet: int, digest: int
    ) -> None:
        """Map the values that topic rules find in a message; one that fails does not stop the others."""
        mapped = way.map(way.open(payload), payload)
        if not mapped.found:
            self._reject(mapped.missed[0].refusal, Incoming(topic, payload, ack_token, way.origin))
            for missed in mapped.missed[1:]:
                self._note(missed.refusal)
            return
        parts: list[DeadLetter] = []
        for missed in mapped.missed:
            if missed.rule is not None:
                incoming = Incoming(topic, payload, ack_token, way.part_origin(missed.rule))
                letter = self._part(missed.refusal, incoming, missed.rule.object)
                if letter is not None:
                    parts.append(letter)
        self._transport.deliver_all(
            [(found.fanout, found.value) for found in mapped.found],
            None,
            "",
            ack_token,
            started,
            packet=packet,
            digest=digest,
            topic=topic if self.topics_ordered else None,
            parts=parts,
        )
