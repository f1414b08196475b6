"""The input layer: size limit, JSON, trace id and de-duplication."""

from collections.abc import Callable, Iterable
from time import perf_counter_ns
from zlib import crc32

from orjson import JSONDecodeError, loads

from data_bridge.catalog.readers import Document, NoJson
from data_bridge.dead_letters.letter import Origin
from data_bridge.pipeline.connection import Connection, MessageHandler
from data_bridge.pipeline.deduplication.redeliveries import Redeliveries, digest_of, seed_of
from data_bridge.pipeline.deduplication.traces import Deduplication
from data_bridge.pipeline.mapping import Mapping
from data_bridge.pipeline.rejections import Incoming, Reject
from data_bridge.pipeline.resolver import Fanout
from data_bridge.pipeline.transport import Transport
from data_bridge.pipeline.ways import (
    LONGEST_TRACE_ID,
    EnvelopeWay,
    Layer,
    Refusal,
    TopicWay,
    Way,
    identity_by_key,
    open_envelope,
    size_refusal,
    trace_of,
)
from data_bridge.reasons import Reason

type ReportReuse = Callable[[str, str], None]
"""report(trace_id, topic) tells of a message that is dropped though it is another than the first of its trace id"""


class Input:
    """Takes messages from the connection, and passes on those that can be parsed and were not seen before."""

    def __init__(
        self,
        connection: Connection,
        deduplication: Deduplication,
        transport: Transport,
        mapping: Mapping,
        reject: Reject,
        count: Callable[[Reason, str], None],
        report_reuse: ReportReuse,
        *,
        maximum_bytes: int,
        redeliveries: Redeliveries | None,
        by_key: bool = False,
    ) -> None:
        self.received = 0
        self.reused_traces = 0  # messages
        self._acknowledge = connection.acknowledge
        self._seen = deduplication
        self._in_flight = transport.in_flight
        self._transport = transport
        self._mapping = mapping
        self._map = mapping.map_envelope if deduplication.enabled else self._map_without_identity
        self._reject = reject
        self._count = count
        self._report_reuse = report_reuse
        self._maximum = maximum_bytes
        self._by_key = by_key
        self._transmission = connection.transmission
        self._is_retained = connection.is_retained
        self._redeliveries = redeliveries

    def handlers(self, topic: str, ways: Iterable[Way]) -> list[MessageHandler]:
        """Return the handlers of a topic, one for each of its ways."""
        return [
            self.receive_envelope if isinstance(way, EnvelopeWay) else self._topic_handler(way, topic) for way in ways
        ]

    def _topic_handler(self, way: TopicWay, topic: str) -> MessageHandler:
        handler = self._way_handler(way, topic)
        of_retained = way.of_retained()
        if of_retained is way:
            return handler

        def ignore(topic: str, payload: bytes, ack_token: int) -> None:
            self.received += 1
            refusal = Refusal(Reason.RETAINED, f"the broker had kept it on {topic}", Layer.INPUT)
            self._reject(refusal, Incoming(topic, payload, ack_token, way.origin))

        retained_handler = ignore if of_retained is None else self._way_handler(of_retained, topic)

        def receive(topic: str, payload: bytes, ack_token: int) -> None:
            (retained_handler if self._is_retained() else handler)(topic, payload, ack_token)

        return receive

    def _way_handler(self, way: TopicWay, topic: str) -> MessageHandler:
        seed = seed_of(topic)

        def receive(topic: str, payload: bytes, ack_token: int) -> None:
            self._receive_topic(way, seed, topic, payload, ack_token)

        fanout = way.rules[0].fanout
        if len(way.rules) > 1 or fanout is None or not fanout.targets or not fanout.qos1:
            return receive
        return self._short_handler(way, fanout, seed, receive)

    def _short_handler(self, way: TopicWay, fanout: Fanout, seed: int, receive: MessageHandler) -> MessageHandler:
        """Return the handler of the everyday topic: one rule leads to one fanout, with QoS 1.

        It does the work of `receive` in fewer steps, and leaves to it the message that is no use or was sent before.
        """
        maximum, transmission, redeliveries = self._maximum, self._transmission, self._redeliveries
        read, deliver, ordered = way.rules[0].read, self._transport.deliver_topic, self._mapping.topics_ordered

        def receive_shortly(topic: str, payload: bytes, ack_token: int) -> None:
            started = perf_counter_ns()
            packet = digest = 0
            marked = False
            if ack_token and redeliveries is not None:
                packet, marked = transmission(ack_token)
                digest = crc32(payload, seed) | len(payload) << 32  # digest_of() without the call
            if marked or not payload or len(payload) > maximum:
                receive(topic, payload, ack_token)
                return
            try:
                try:
                    document: Document = loads(payload)
                except JSONDecodeError as error:
                    document = NoJson(str(error))
                value = read(document, payload)
            except Exception:  # noqa: BLE001 -- it will meet it too, and says what it is
                receive(topic, payload, ack_token)
                return
            self.received += 1
            try:
                deliver(fanout, value, topic if ordered else None, ack_token, started, packet, digest)
            except Exception as error:  # noqa: BLE001 -- nothing that a message contains may stop the bridge
                self._failed(error, topic, payload, ack_token, way.origin)

        return receive_shortly

    def receive_envelope(self, topic: str, payload: bytes, ack_token: int) -> None:  # noqa: C901 -- a call costs more here
        """Take an envelope: EnvelopeWay.open in fewer steps, and de-duplication."""
        started = perf_counter_ns()
        self.received += 1
        if len(payload) > self._maximum:
            self._refuse(size_refusal(len(payload), self._maximum), topic, payload, ack_token)
            return
        try:
            message = loads(payload)
        except JSONDecodeError as error:
            self._refuse(self._no_json(error, payload), topic, payload, ack_token)
            return
        try:
            trace_id = message["header"]["UUID"]
            body = message["payload"]
        except (KeyError, TypeError, IndexError):
            try:
                trace_id, body = open_envelope(message)
            except Refusal as refusal:
                self._refuse(refusal, topic, payload, ack_token)
                return
        if trace_id.__class__ is not str or not trace_id or len(trace_id) > LONGEST_TRACE_ID:
            trace_id = trace_of(trace_id)
        identity = trace_id if not self._by_key else identity_by_key(trace_id, body)
        seen = self._seen
        if identity in seen.current or identity in seen.previous:
            self._count_duplicate(trace_id, topic, seen.digest_of(identity), payload)
            if ack_token:
                self._acknowledge(ack_token)
            return
        earlier = self._in_flight.get(identity)
        if earlier is not None:
            # The same message is on its way: this copy is answered when that one is safe.
            self._count_duplicate(trace_id, topic, earlier.digest, payload)
            if ack_token:
                earlier.add_duplicate(ack_token)
            return
        try:
            self._map(body, identity, trace_id, topic, payload, ack_token, started)
        except Exception as error:  # noqa: BLE001 -- nothing that a message contains may stop the bridge
            self._in_flight.pop(identity, None)
            self._failed(error, topic, payload, ack_token, self._mapping.envelope_origin)

    def _receive_topic(self, way: TopicWay, seed: int, topic: str, payload: bytes, ack_token: int) -> None:
        """Take a message of topic rules."""
        started = perf_counter_ns()
        self.received += 1
        if not payload or len(payload) > self._maximum:
            self._reject(size_refusal(len(payload), self._maximum), Incoming(topic, payload, ack_token, way.origin))
            return
        packet = digest = 0
        if ack_token and self._redeliveries is not None:
            packet, marked = self._transmission(ack_token)
            digest = digest_of(payload, seed)
            if marked and self._is_redelivered(self._redeliveries, packet, digest, ack_token):
                return
        try:
            self._mapping.map_topic(way, topic, payload, ack_token, started, packet, digest)
        except Exception as error:  # noqa: BLE001 -- as above
            self._failed(error, topic, payload, ack_token, way.origin)

    def _is_redelivered(self, redeliveries: Redeliveries, packet: int, digest: int, ack_token: int) -> bool:
        """Answer a message that was delivered before, or is on its way; False when it was not."""
        earlier = redeliveries.in_flight.get(packet)
        if earlier is not None and earlier.digest != digest:
            # Another has taken its packet identifier: it is a new message whatever its mark.
            return False
        if earlier is None and not redeliveries.is_redelivered(packet, digest):
            return False
        self._count(Reason.DUPLICATE, "the broker sent a message again that was delivered or is on its way")
        if earlier is None:
            self._acknowledge(ack_token)
        else:
            earlier.add_duplicate(ack_token)
        return True

    def _map_without_identity(
        self,
        body: dict[str, str],
        identity: str | None,
        trace_id: str,
        topic: str,
        payload: bytes,
        ack_token: int,
        started: int,
    ) -> None:
        """Map an envelope that no other is a copy of, not even while it is on its way."""
        del identity
        self._mapping.map_envelope(body, None, trace_id, topic, payload, ack_token, started)

    def _count_duplicate(self, trace_id: str, topic: str, known: int | None, payload: bytes) -> None:
        """Count an envelope that is dropped; with other bytes than the first its trace id names more than a message.

        `known` is the first one's digest, None where only its trace id is known.
        """
        if known is None or known == hash(payload):
            detail = f"the trace id {trace_id!r} was delivered or is on its way; {topic} brought it again"
        else:
            self.reused_traces += 1
            self._report_reuse(trace_id, topic)
            detail = f"the trace id {trace_id!r} came again on {topic} with other bytes, which were not delivered"
        self._count(Reason.DUPLICATE, detail)

    def _no_json(self, error: JSONDecodeError, payload: bytes) -> Refusal:
        return Refusal(Reason.INVALID_JSON, str(error), Layer.INPUT) if payload else size_refusal(0, self._maximum)

    def _refuse(self, refusal: Refusal, topic: str, payload: bytes, ack_token: int) -> None:
        self._reject(refusal, Incoming(topic, payload, ack_token, self._mapping.envelope_origin))

    def _failed(self, error: Exception, topic: str, payload: bytes, ack_token: int, origin: Origin) -> None:
        refusal = Refusal(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
        self._reject(refusal, Incoming(topic, payload, ack_token, origin))
