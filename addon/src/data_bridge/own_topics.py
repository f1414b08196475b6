"""The topics of a bridge itself, all below iot_data_bridge/<bridge_id>/."""

from dataclasses import dataclass

NAMESPACE = "iot_data_bridge"


@dataclass(frozen=True, slots=True)
class OwnTopics:
    """The topics on which one bridge publishes, and its command topic."""

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
        """Return the topic of the bridge's id, name and version."""
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
        """Return the topic of events."""
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
        """Return filters of topics that follow messages: a rule that matched them would cause a loop."""
        return (self.state("+"), self.events)

    @property
    def others(self) -> tuple[str, ...]:
        """Return the topics of everything else."""
        return (self.availability, self.hello, self.catalog, self.metrics, self.command, self.result)
