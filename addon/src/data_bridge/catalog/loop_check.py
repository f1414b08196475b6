"""Detection of loops: topics on which the bridge publishes, compared with all filters that it reads."""

from collections.abc import Container, Mapping
from pathlib import Path

from communicator.topics import TopicTrie, check_topic, overlaps, unshared
from data_bridge.catalog.files import CatalogFiles
from data_bridge.catalog.findings import Findings, Location
from data_bridge.catalog.model import CatalogObject, Device, MqttAddress
from data_bridge.own_topics import NAMESPACE, OwnTopics


class LoopCheck:
    """Refuses topics of devices that the bridge itself reads: each message would return endlessly.

    `rules` are the topic rules' filters with their places in mappings.yaml, `own` the devices with a topic of their
    own; the others get theirs from the settings.
    """

    def __init__(
        self, rules: Mapping[str, Location], own: Container[str], files: CatalogFiles, findings: Findings
    ) -> None:
        self._rules = rules
        self._own = own
        self._files = files
        self._findings = findings
        self._read: TopicTrie[str] = TopicTrie()
        for each in dict.fromkeys([*files.ingress, *rules]):
            self._read.add(each, each)
        self._checked: set[str] = set()
        self._blamed: set[tuple[Path, Location]] = set()

    def check(self, objects: Mapping[str, CatalogObject], devices: Mapping[str, Device]) -> None:
        """Check the topics of each object."""
        for each in objects.values():
            for identifier in each.devices:
                address = devices[identifier].mqtt
                if address is not None:
                    self._check(each.name, identifier, address)

    def _check(self, name: str, identifier: str, address: MqttAddress) -> None:
        sender: tuple[Path, Location] = (
            (self._files.devices, ("devices", identifier, "mqtt", "topic"))
            if identifier in self._own
            else (self._files.settings.path, ("egress", "topic"))
        )
        try:
            topic = address.topic_for(identifier, name)
            if topic in self._checked:
                return
            check_topic(topic)
        except ValueError as error:
            self._blame(sender, "invalid", str(error))
            return
        self._checked.add(topic)
        sends = f"{identifier} would get {name} at {topic}"
        for _, each in self._read.match(topic):
            rule = self._rules.get(each)
            if rule is not None:
                text = f"reads {each}, but {sends}: every message would come back"
                self._blame((self._files.mappings, (*rule, "topic")), "loop", text)
            else:
                text = f"{sends}, which the bridge itself reads by {each}: every message would come back"
                self._blame(sender, "loop", text)
        if topic.startswith(f"{NAMESPACE}/"):
            self._blame(sender, "loop", f"{sends}, which is reserved for what bridges themselves announce")

    def _blame(self, place: tuple[Path, Location], reason: str, text: str) -> None:
        # A place that is wrong for one device is wrong for a thousand.
        if place not in self._blamed:
            self._blamed.add(place)
            self._findings.refuse(*place, reason, text)


def check_reading(own: OwnTopics, topic_filter: str) -> str | None:
    """Refuse a filter that matches topics on which the bridge publishes as a result of messages.

    Returns:
        A warning where it matches another topic of the bridge itself.

    Raises:
        ValueError: with the topics that it matches.
    """
    if unshared(topic_filter).split("/", 1)[0] not in ("+", "#", NAMESPACE):
        return None
    for each in own.echoes:
        if overlaps(topic_filter, each):
            raise ValueError(
                f"reads {topic_filter}, where the bridge itself publishes ({each}): what it maps would make it publish "
                "again, without end; name the levels that are meant"
            )
    heard = [each for each in own.others if overlaps(topic_filter, each)]
    return f"reads {topic_filter}, where the bridge itself talks: {', '.join(heard)}" if heard else None
