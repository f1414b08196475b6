"""What a device's retained state may hold: over reloads, restarts and full queues, only values that belong there."""

from pathlib import Path
from typing import Literal

import orjson
import pytest

from data_bridge.announcements.announcer import Announcer
from data_bridge.announcements.retained_states import RetainedStates
from data_bridge.catalog.loader import load
from data_bridge.catalog.model import Catalog
from data_bridge.logs import LimitedLog
from data_bridge.own_topics import OwnTopics
from data_bridge.pipeline.pipeline import Pipeline
from data_bridge.settings import AnnouncementSettings, CatalogSettings, DeduplicationSettings, Settings
from tests.data_bridge.connections import ScriptedConnection, refused_nothing

ROOT = "iot_data_bridge/main"
MAPPINGS = """\
mappings:
  - {equip_tag: E, message_id: SPEED, object: Speed, value_type: integer}
  - {equip_tag: E, message_id: MODE, object: Mode, value_type: text}
"""
DEVICES = "objects:\n  Speed: [VM-A]\n  Mode: [VM-A, VM-B]\n"


class Site:
    """A pipeline and an announcer on one connection, with reloads as the bridge makes them."""

    def __init__(self, folder: Path, identity: Literal["trace", "trace_and_key"] = "trace") -> None:
        self.settings = Settings(
            data_directory=folder / "data",
            deduplication=DeduplicationSettings(persist=False, identity=identity),
            catalogs=CatalogSettings(mappings=folder / "mappings.yaml", devices=folder / "devices.yaml"),
        )
        self.connection = ScriptedConnection()
        catalog = self._load(MAPPINGS, DEVICES)
        self.pipeline = Pipeline(self.connection, self.settings, catalog, lambda *_: None, LimitedLog(lambda *_: None))
        self.pipeline.start()
        self.announcer = Announcer(self.connection, OwnTopics("main"), "Main", AnnouncementSettings(), refused_nothing)
        self.announcer.use(self.pipeline.announcement.payload, self.pipeline.states.keys())
        self.retained = RetainedStates(self.connection, OwnTopics("main"), self.pipeline, self.announcer.forget)
        self.retained.listen()

    def _load(self, mappings: str, devices: str) -> Catalog:
        self.settings.catalogs.mappings.write_text(mappings)
        self.settings.catalogs.devices.write_text(devices)
        return load(self.settings.catalog_files())

    def reload(self, mappings: str = MAPPINGS, devices: str = DEVICES) -> None:
        catalog = self._load(mappings, devices)
        ready = self.pipeline.prepare(catalog)
        self.pipeline.swap(ready)
        self.announcer.use(ready.announcement.payload, ready.states.keys())

    def receive(self, message_id: str, value: object, trace: str | None = None) -> None:
        header = {} if trace is None else {"UUID": trace}
        payload = {"Equip.Tag": "E", "Message.ID": message_id, "VALUE": value}
        body = orjson.dumps({"header": header, "payload": payload})
        self.pipeline.input.receive_envelope("iot/ingress", body, 0)

    def read_back(self, device: str, values: object) -> None:
        """Let the broker send what an earlier run retained."""
        handler = self.connection.routes[f"{ROOT}/state/+"]
        handler(f"{ROOT}/state/{device}", orjson.dumps({"ts": 1.0, "values": values}), 0)

    def announced(self) -> dict[str, object]:
        """Return what the bridge leaves retained for each device that it now says something about; None: removed."""
        changed, self.pipeline.transport.changed = self.pipeline.transport.changed, []
        self.announcer.flush(changed, self.pipeline.states)
        said = [sent for sent in self.connection.take() if sent.topic.startswith(f"{ROOT}/state/")]
        assert all(sent.retain and sent.qos == 1 for sent in said)
        return {
            sent.topic.rpartition("/")[2]: orjson.loads(sent.payload)["values"] if sent.payload else None
            for sent in said
        }


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_removed_device_takes_its_state_along_though_this_run_never_published_it(site: Site) -> None:
    site.reload(devices="objects:\n  Speed: [VM-A]\n  Mode: [VM-A]\n")
    assert site.announced() == {"VM-B": None}


def test_a_removed_device_is_forgotten_as_soon_as_the_queue_has_room(site: Site) -> None:
    site.connection.refuse = True
    site.reload(devices="objects:\n  Speed: [VM-A]\n  Mode: [VM-A]\n")
    site.announcer.tick([], site.pipeline.states)
    assert site.connection.take() == []
    site.connection.refuse = False
    site.announcer.tick([], site.pipeline.states)
    assert [(sent.topic, sent.payload) for sent in site.connection.take()] == [(f"{ROOT}/state/VM-B", b"")]
    site.announcer.tick([], site.pipeline.states)
    assert site.connection.take() == []


def test_a_device_that_comes_back_is_not_forgotten_late(site: Site) -> None:
    site.connection.refuse = True
    site.reload(devices="objects:\n  Speed: [VM-A]\n  Mode: [VM-A]\n")
    site.reload()
    site.connection.refuse = False
    site.receive("MODE", "fast")
    assert site.announced() == {"VM-A": {"Mode": "fast"}, "VM-B": {"Mode": "fast"}}
    site.announcer.tick([], site.pipeline.states)
    assert site.connection.take() == []


def test_an_object_that_moves_leaves_the_state_of_its_first_device(site: Site) -> None:
    site.receive("SPEED", 5)
    site.receive("MODE", "fast")
    site.announced()
    site.reload(devices="objects:\n  Speed: [VM-B]\n  Mode: [VM-A, VM-B]\n")
    assert site.announced() == {"VM-A": {"Mode": "fast"}}


def test_a_value_of_another_type_than_the_new_one_is_dropped(site: Site) -> None:
    site.receive("SPEED", 5)
    site.receive("MODE", "fast")
    site.announced()
    site.reload(MAPPINGS.replace("Mode, value_type: text", "Mode, value_type: boolean"))
    assert site.announced() == {"VM-A": {"Speed": 5}, "VM-B": None}


def test_a_value_that_fits_the_new_type_stays(site: Site) -> None:
    site.receive("SPEED", 5)
    site.announced()
    site.reload(MAPPINGS.replace("integer", "float"))
    assert site.announced() == {}
    site.receive("MODE", "fast")
    assert site.announced()["VM-A"] == {"Speed": 5, "Mode": "fast"}


def test_an_object_that_is_no_longer_announced_leaves_the_state(site: Site) -> None:
    site.receive("SPEED", 5)
    site.announced()
    announcements = site.settings.announcements.model_copy(update={"maximum_bytes": 90})
    site.pipeline._settings = site.settings.model_copy(update={"announcements": announcements})
    site.reload()
    assert site.announced() == {"VM-A": None, "VM-B": None}


def test_a_reload_that_changes_nothing_of_a_device_says_nothing(site: Site) -> None:
    site.receive("SPEED", 5)
    site.announced()
    site.reload(MAPPINGS + "  - {equip_tag: E, message_id: S, object: Speed, value_type: integer}\n")
    assert site.announced() == {}


def test_a_value_that_waits_to_be_announced_survives_a_reload(site: Site) -> None:
    site.receive("SPEED", 5)
    site.reload(devices="objects:\n  Speed: [VM-A]\n  Mode: [VM-B]\n")
    assert site.announced() == {"VM-A": {"Speed": 5}}


def test_values_of_before_a_restart_are_taken_where_they_belong(site: Site) -> None:
    site.receive("SPEED", 6)
    site.announced()
    site.read_back("VM-A", {"Speed": 5, "Mode": "slow"})
    assert site.announced() == {}
    site.receive("SPEED", 7)
    assert site.announced() == {"VM-A": {"Speed": 7, "Mode": "slow"}}


@pytest.mark.parametrize(
    ("values", "left"),
    [
        ({"Speed": "5", "Mode": "slow"}, {"Mode": "slow"}),
        ({"Speed": True, "Mode": "slow"}, {"Mode": "slow"}),
        ({"Speed": 5.5, "Mode": "slow"}, {"Mode": "slow"}),
        ({"Speed": 5, "Gone": 1}, {"Speed": 5}),
        ({"Speed": 5, "Mode": ["slow"]}, {"Speed": 5}),
        ({"Gone": 1}, None),
        ({}, None),
        ("no values", None),
    ],
)
def test_values_of_before_a_restart_that_do_not_belong_are_taken_off_the_broker(
    site: Site, values: object, left: object
) -> None:
    site.read_back("VM-A", values)
    assert site.announced() == {"VM-A": left}


def test_a_device_that_left_while_the_bridge_was_off_is_forgotten(site: Site) -> None:
    site.read_back("VM-OLD", {"Speed": 5})
    assert site.announced() == {"VM-OLD": None}


async def test_a_message_held_over_a_reload_brings_no_value_back(tmp_path: Path) -> None:
    site = Site(tmp_path, "trace_and_key")
    site.receive("SPEED", 5, "u")
    site.receive("MODE", "fast", "u")
    (first,) = site.connection.take()
    site.reload(devices="objects:\n  Speed: [VM-A]\n  Mode: [VM-C]\n")
    first.answer(0)
    assert [sent.topic for sent in site.connection.take()][-2:] == ["devices/vm-a/ingress", "devices/vm-b/ingress"]
    assert site.announced()["VM-A"] == {"Speed": 5}
