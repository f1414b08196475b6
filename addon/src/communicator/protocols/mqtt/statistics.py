"""What a client has counted since it was made."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """The running numbers; written by the network loop and under the client's lock."""

    connects: int = 0
    connect_failures: int = 0
    connections_lost: int = 0
    reconnects: int = 0
    sent: int = 0
    resent: int = 0
    acknowledged: int = 0
    refused: int = 0
    dropped_offline: int = 0
    dropped_queue_full: int = 0
    dropped_paused: int = 0
    received: int = 0
    received_duplicates: int = 0
    unhandled: int = 0
    stale_acknowledgements: int = 0
    handler_errors: int = 0
    malformed: int = 0
    subscriptions_refused: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    socket_reads: int = 0
    socket_writes: int = 0


@dataclass(frozen=True, slots=True)
class MQTTStatistics:
    """One look at a client's counters.

    Attributes:
        connected: whether the broker has accepted the client now.
        connects: connections that the broker accepted, the first one included.
        connect_failures: attempts that ended without one.
        connections_lost: connections that ended without `disconnect()`.
        reconnects: connections accepted after one was lost.
        sent: PUBLISH packets sent, repetitions not counted.
        resent: PUBLISH packets sent again after a reconnect.
        acknowledged: messages of QoS 1 and 2 that the broker has taken.
        refused: messages of QoS 1 and 2 that the broker has refused with a reason code.
        dropped_offline: messages of QoS 0 published without a connection.
        dropped_queue_full: messages not taken because the bounded queue was full; the caller was told each time.
        dropped_paused: messages of QoS 0 that came while the client was paused and already held all that it may.
        received: messages received, each once.
        received_duplicates: messages of QoS 2 that came again and were not delivered again.
        unhandled: messages whose topic no callback wanted.
        stale_acknowledgements: `acknowledge` calls for deliveries of an earlier connection, or a second time.
        handler_errors: exceptions that callbacks and handlers raised.
        malformed: connections closed because what came was not MQTT.
        subscriptions_refused: topic filters that the broker refused.
        bytes_sent: bytes written to the socket.
        bytes_received: bytes read from the socket.
        socket_reads: reads of the socket.
        socket_writes: writes to the socket.
        queued: messages of QoS 1 and 2 that wait for a place in flight.
        in_flight: messages of QoS 1 and 2 sent and not acknowledged.
        unacknowledged: received messages that are not acknowledged to the broker.
    """

    connected: bool
    connects: int
    connect_failures: int
    connections_lost: int
    reconnects: int
    sent: int
    resent: int
    acknowledged: int
    refused: int
    dropped_offline: int
    dropped_queue_full: int
    dropped_paused: int
    received: int
    received_duplicates: int
    unhandled: int
    stale_acknowledgements: int
    handler_errors: int
    malformed: int
    subscriptions_refused: int
    bytes_sent: int
    bytes_received: int
    socket_reads: int
    socket_writes: int
    queued: int
    in_flight: int
    unacknowledged: int
