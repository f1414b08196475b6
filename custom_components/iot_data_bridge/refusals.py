"""Messages that a site could not use: counted by reason and by topic, each topic named in the log once."""

from collections import Counter
from dataclasses import dataclass

from homeassistant.core import callback

from .const import LOGGER
from .devices.errors import MalformedMessageError
from .devices.json_values import JsonObject
from .devices.topics import Channel
from .markdown import bounded

# Topics are named by strangers: further ones are only counted.
MOST_TOPICS = 100


@dataclass(slots=True)
class RefusedTopic:
    """The unusable messages of one topic, with the reason of the latest."""

    reason: str
    count: int


class Refusals:
    """The unusable messages of one site since it was set up."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[Channel, str]] = Counter()
        self.topics: dict[str, RefusedTopic] = {}
        self.unnamed = 0

    @callback
    def add(self, channel: Channel, topic: str, error: MalformedMessageError) -> None:
        """Count a message; the first of a topic is logged, and every change of its reason is kept."""
        self.counts[channel, error.reason] += 1
        if (known := self.topics.get(topic)) is not None:
            known.reason, known.count = error.reason, known.count + 1
        elif len(self.topics) < MOST_TOPICS:
            self.topics[topic] = RefusedTopic(error.reason, 1)
            LOGGER.warning(
                "A message on %s cannot be used (%s); more of this topic are only counted, see the diagnostics",
                bounded(topic),
                error.reason,
            )
        else:
            self.unnamed += 1
            if self.unnamed == 1:
                LOGGER.warning(
                    "Messages on more than %s topics cannot be used; more are only counted, see the diagnostics",
                    MOST_TOPICS,
                )

    @callback
    def add_defect(self, channel: Channel, topic: str, error: Exception) -> None:
        """Count a message on which a handler failed; the first of each kind is logged with its traceback."""
        reason = f"defect_{type(error).__name__}"
        if not self.counts[channel, reason]:
            LOGGER.error("A message on %s could not be handled, which is a defect", bounded(topic), exc_info=error)
        self.add(channel, topic, MalformedMessageError(reason))

    def as_json(self) -> JsonObject:
        """Return the counts by reason, and the topics with their counts and last reasons."""
        return {
            "by_reason": {
                f"{channel.value}: {reason}": count for (channel, reason), count in sorted(self.counts.items())
            },
            "by_topic": {
                bounded(topic): {"count": refused.count, "reason": refused.reason}
                for topic, refused in self.topics.items()
            },
            "on_further_topics": self.unnamed,
        }
