"""The values that devices got before the bridge was restarted, read back from its own retained announcements."""

from collections.abc import Callable

from data_bridge.announcements.announcer import decode_state
from data_bridge.own_topics import OwnTopics
from data_bridge.pipeline.connection import Connection
from data_bridge.pipeline.pipeline import Pipeline


class RetainedStates:
    """Listens to `state/+` for a while after the first connect.

    Without it the first message after a restart would replace a device's retained state by one with a single value.
    """

    def __init__(
        self, connection: Connection, topics: OwnTopics, pipeline: Pipeline, forget: Callable[[str], None]
    ) -> None:
        self.topic_filter = topics.state("+")
        self._prefix = topics.state("")
        self._connection = connection
        self._pipeline = pipeline
        self._forget = forget
        self._listening = True

    def listen(self) -> None:
        """Subscribe."""
        self._connection.route(self.topic_filter, self._receive, 0)

    def end(self) -> None:
        """Ignore later states: they are from this process."""
        self._listening = False

    def _receive(self, topic: str, payload: bytes, ack_token: int) -> None:
        if ack_token:
            self._connection.acknowledge(ack_token)
        if not self._listening or not payload:
            return
        device = topic.removeprefix(self._prefix)
        if not self._pipeline.restore(device, decode_state(payload)):
            # A device that left the catalog while the bridge was off.
            self._forget(device)
