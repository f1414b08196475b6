"""Loads mappings.yaml and devices.yaml as one checked model, or reports all errors with their lines."""

from data_bridge.catalog.collector import collector_paused
from data_bridge.catalog.devices import read_devices
from data_bridge.catalog.files import CatalogFiles, CatalogSource, CatalogTexts, read_texts
from data_bridge.catalog.loop_check import LoopCheck
from data_bridge.catalog.model import Catalog
from data_bridge.catalog.objects import Objects
from data_bridge.catalog.rules import read_rules


def load(files: CatalogFiles, texts: CatalogTexts | None = None) -> Catalog:
    """Return the checked catalog of the files or, with `texts`, of their earlier texts.

    Raises:
        CatalogError: with file, line and reason, and all other errors in `more`; nothing of a refused catalog is used.
    """
    with collector_paused():
        return _load(CatalogSource(files, read_texts(files) if texts is None else texts))


def _load(source: CatalogSource) -> Catalog:
    files, findings = source.files, source.findings
    models, device_file = source.parse()
    rules = read_rules(models, files, findings)
    objects = Objects(rules, device_file.objects, files, findings).merge()
    devices = read_devices(device_file.devices, objects, files, findings)
    filters = {each.rule.topic: each.location for each in reversed(rules) if each.rule.topic is not None}
    own = {name for name, each in device_file.devices.items() if each.mqtt is not None and each.mqtt.topic is not None}
    LoopCheck(filters, own, files, findings).check(objects, devices)
    findings.raise_refused()
    return Catalog(source.version(), tuple(each.rule for each in rules), objects, devices, findings.warnings())
