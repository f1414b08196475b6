"""Messages on their way to the broker: those that wait, and those in flight until the broker has acknowledged them."""

from collections import deque
from collections.abc import Callable

from communicator.protocols.mqtt.configuration import MAXIMUM_INFLIGHT
from communicator.protocols.mqtt.frames import PreparedPublish

Settled = Callable[[object, int], None]
"""Called with a message's token and the broker's reason code: 0 for success, 0x80 and above for a refusal."""


class OutgoingMessage:
    """One message of QoS 1 or 2 until the broker has it."""

    __slots__ = ("identifier", "payload", "prepared", "released", "settled", "token")

    def __init__(self, prepared: PreparedPublish, payload: bytes, settled: Settled | None, token: object) -> None:
        self.prepared = prepared
        self.payload = payload
        self.settled = settled
        self.token = token
        self.identifier = 0
        self.released = False  # QoS 2: the broker has sent PUBREC, so only PUBREL may be sent again


class Outbox:
    """A bounded queue in front of a window of messages in flight; both keep the order of publishing.

    Not thread-safe: the client's lock guards it.
    """

    __slots__ = ("_last_identifier", "_maximum", "in_flight", "waiting", "window")

    def __init__(self, maximum: int) -> None:
        self.waiting: deque[OutgoingMessage] = deque()
        self.in_flight: dict[int, OutgoingMessage] = {}
        self.window = 0  # how many may be in flight; 0 without a connection
        self._maximum = maximum
        self._last_identifier = 0

    def put(self, message: OutgoingMessage) -> bool:
        """Take a message to the end of the queue; False when the queue is full."""
        if len(self.waiting) >= self._maximum:
            return False
        self.waiting.append(message)
        return True

    def start(self, message: OutgoingMessage) -> bool:
        """Take a message into flight at once, past nobody; False when others wait or the window is full."""
        if self.waiting or len(self.in_flight) >= self.window:
            return False
        self._enter_flight(message)
        return True

    def next_to_send(self) -> OutgoingMessage | None:
        """Move the oldest waiting message into flight, and return it with its packet identifier."""
        if not self.waiting or len(self.in_flight) >= self.window:
            return None
        message = self.waiting.popleft()
        self._enter_flight(message)
        return message

    def _enter_flight(self, message: OutgoingMessage) -> None:
        in_flight = self.in_flight
        identifier = self._last_identifier
        while True:
            identifier = identifier + 1 if identifier < MAXIMUM_INFLIGHT else 1
            if identifier not in in_flight:
                break
        self._last_identifier = message.identifier = identifier
        in_flight[identifier] = message

    def settle(self, identifier: int) -> OutgoingMessage | None:
        """Take the message that the broker has acknowledged out of flight; None when it is not in flight."""
        return self.in_flight.pop(identifier, None)

    def release(self, identifier: int) -> None:
        """Note the PUBREC of a QoS 2 message."""
        if message := self.in_flight.get(identifier):
            message.released = True

    def to_send_again(self, *, session_kept: bool) -> list[OutgoingMessage]:
        """Return what was in flight when the connection was lost, in the order first sent.

        What is more than the window goes back to the head of the queue. Without the broker's session, a released QoS 2
        message starts again: nobody knows what became of it.
        """
        if not session_kept:
            for message in self.in_flight.values():
                message.released = False
        while len(self.in_flight) > self.window:
            _, message = self.in_flight.popitem()
            self.waiting.appendleft(message)
        return list(self.in_flight.values())
