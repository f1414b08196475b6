"""Nothing may come back: what the bridge sends and says is checked against everything that it reads."""

from collections.abc import Iterable, Mapping

from data_bridge.catalog.files import CatalogSource
from data_bridge.catalog.model import CatalogObject, Device, Rule
from data_bridge.catalog.topics import FilterTree, check_topic, overlaps, unshared
from data_bridge.own_topics import NAMESPACE


def check_loops(
    source: CatalogSource, rules: Iterable[Rule], objects: Mapping[str, CatalogObject], devices: Mapping[str, Device]
) -> None:
    """Refuse a device topic that the bridge itself reads: each message would come back for ever.

    Raises:
        CatalogError: with the device whose topic it is.
    """
    files = source.files
    read: FilterTree[str] = FilterTree()
    for each in dict.fromkeys([*files.ingress, *(rule.topic for rule in rules if rule.topic is not None)]):
        read.add(unshared(each), each)
    checked: set[str] = set()
    for entry in objects.values():
        for identifier in entry.devices:
            route = devices[identifier].mqtt
            if route is None:
                continue
            place = ("devices", identifier, "mqtt", "topic")
            try:
                topic = route.topic_for(identifier, entry.name)
                if topic in checked:
                    continue
                check_topic(topic)
            except ValueError as error:
                raise source.error(files.devices, place, "invalid", str(error)) from error
            checked.add(topic)
            for _, (topic_filter, *_) in read.match(topic):
                text = (
                    f"sends to {topic}, which the bridge itself reads by {topic_filter}: every message would come back"
                )
                raise source.error(files.devices, place, "loop", text)
            if topic.startswith(f"{NAMESPACE}/"):
                text = f"sends to {topic}, which is reserved for what bridges themselves announce"
                raise source.error(files.devices, place, "loop", text)


def check_reading(source: CatalogSource, number: int, topic_filter: str) -> str | None:
    """Refuse a rule that reads what the bridge says because of messages, its own output among them.

    Returns:
        A warning where it reads something else that the bridge itself says.

    Raises:
        CatalogError: with the rule.
    """
    if unshared(topic_filter).split("/", 1)[0] not in ("+", "#", NAMESPACE):
        return None
    own = source.files.own
    for each in own.echoes:
        if overlaps(topic_filter, each):
            text = (
                f"reads {topic_filter}, where the bridge itself publishes ({each}): what it maps would make it publish "
                "again, without end; name the levels that are meant"
            )
            raise source.error(source.files.mappings, ("mappings", number, "topic"), "loop", text)
    heard = [each for each in own.others if overlaps(topic_filter, each)]
    return f"reads {topic_filter}, where the bridge itself talks: {', '.join(heard)}" if heard else None
