"""Nothing may come back: what is sent to devices is checked against everything that the bridge reads."""

from collections.abc import Iterable, Mapping

from data_bridge.catalogs.catalog import CatalogObject, Device, Rule
from data_bridge.catalogs.sources import CatalogSource
from data_bridge.catalogs.topics import FilterTree, check_topic


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
        read.add(each, each)
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
            if topic.startswith(files.reserved):
                text = f"sends to {topic}, which is reserved for the bridge's own announcements"
                raise source.error(files.devices, place, "loop", text)
