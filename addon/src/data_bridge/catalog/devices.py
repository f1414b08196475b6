"""The devices: those that devices.yaml describes, and those that objects only name."""

from collections.abc import Mapping

from data_bridge.catalog.files import CatalogFiles, warn_of_unknown_keys
from data_bridge.catalog.findings import Findings
from data_bridge.catalog.model import CatalogObject, Device, MqttAddress, SignalRAddress
from data_bridge.catalog.payload_templates import broken_json
from data_bridge.catalog.schema import DeviceEntry, MqttEgress


def read_devices(
    entries: Mapping[str, DeviceEntry], objects: Mapping[str, CatalogObject], files: CatalogFiles, findings: Findings
) -> dict[str, Device]:
    """Return all devices by id, those with an entry first."""
    devices: dict[str, Device] = {}
    by_folded: dict[str, str] = {}
    used = dict.fromkeys(device for each in objects.values() for device in each.devices)
    for identifier in {**dict.fromkeys(entries), **used}:
        same = by_folded.setdefault(identifier.lower(), identifier)
        if same != identifier:
            text = f"the devices {same} and {identifier} differ only in case and would share one topic"
            place = ("devices", identifier) if identifier in entries else _naming(identifier, objects)
            findings.refuse(files.devices, place, "contradiction", text)
        devices[identifier] = _device(identifier, entries.get(identifier), files, findings)
        if identifier not in used:
            findings.warn(files.devices, ("devices", identifier), f"{identifier} gets no object")
    return devices


def _naming(identifier: str, objects: Mapping[str, CatalogObject]) -> tuple[str, str]:
    return next(("objects", each.name) for each in objects.values() if identifier in each.devices)


def _device(identifier: str, given: DeviceEntry | None, files: CatalogFiles, findings: Findings) -> Device:
    entry = given or DeviceEntry()
    place = ("devices", identifier)
    warn_of_unknown_keys(findings, files.devices, place, entry)
    signalr = _signalr(identifier, entry, files, findings)
    if entry.mqtt is not None:
        mqtt: MqttAddress | None = _mqtt(identifier, entry.mqtt, files, findings)
    else:
        mqtt = MqttAddress(files.egress_topic, files.egress_qos) if signalr is None else None
    return Device(identifier, entry.name or identifier, mqtt, signalr)


def _signalr(identifier: str, entry: DeviceEntry, files: CatalogFiles, findings: Findings) -> SignalRAddress | None:
    if entry.signalr is None:
        return None
    place = ("devices", identifier, "signalr")
    warn_of_unknown_keys(findings, files.devices, place, entry.signalr)
    text = (
        "SignalR is not sent, MQTT is"
        if entry.mqtt is not None
        else f"{identifier} is reached over SignalR only, which is not sent yet: its values become dead letters"
    )
    findings.warn(files.devices, place, text)
    # The group is the device id with its case kept, as hubs in the field compare it.
    return SignalRAddress(entry.signalr.group or identifier, entry.signalr.target)


def _mqtt(identifier: str, given: MqttEgress, files: CatalogFiles, findings: Findings) -> MqttAddress:
    place = ("devices", identifier, "mqtt")
    warn_of_unknown_keys(findings, files.devices, place, given)
    if given.payload is not None and (broken := broken_json(given.payload)) is not None:
        text = f"begins like JSON and is none ({broken}): {{value}} is sent as plain text"
        findings.warn(files.devices, (*place, "payload"), text)
    return MqttAddress(
        topic=given.topic if given.topic is not None else files.egress_topic,
        qos=given.qos if "qos" in given.model_fields_set else files.egress_qos,
        retain=given.retain,
        payload=given.payload,
    )
