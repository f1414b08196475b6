"""The topics where a bridge itself talks, all below iot_data_bridge/<bridge_id>/."""

from dataclasses import dataclass

NAMESPACE = "iot_data_bridge"


@dataclass(frozen=True, slots=True)
class OwnTopics:
    """What one bridge publishes, and the one topic where it takes commands."""

    bridge_id: str

    @property
    def root(self) -> str:
        """Return the levels that all have in common."""
        return f"{NAMESPACE}/{self.bridge_id}"

    @property
    def availability(self) -> str:
        """Return the topic of the retained `online` or `offline`, which is also the last will."""
        return f"{self.root}/availability"

    @property
    def hello(self) -> str:
        """Return the topic that tells who the bridge is."""
        return f"{self.root}/hello"

    @property
    def catalog(self) -> str:
        """Return the topic of the devices and their objects."""
        return f"{self.root}/catalog"

    def state(self, device: str) -> str:
        """Return the topic of a device's latest values; of all devices, as a filter, for `+`."""
        return f"{self.root}/state/{device}"

    @property
    def events(self) -> str:
        """Return the topic that tells what happened."""
        return f"{self.root}/events"

    @property
    def metrics(self) -> str:
        """Return the topic of the counters."""
        return f"{self.root}/metrics"

    @property
    def command(self) -> str:
        """Return the topic that the bridge reads."""
        return f"{self.root}/command"

    @property
    def result(self) -> str:
        """Return the topic of the answers to commands."""
        return f"{self.root}/result"

    @property
    def echoes(self) -> tuple[str, ...]:
        """Return filters of what is published because of messages: who maps that makes the next."""
        return (self.state("+"), self.events)

    @property
    def others(self) -> tuple[str, ...]:
        """Return the topics of everything else."""
        return (self.availability, self.hello, self.catalog, self.metrics, self.command, self.result)
