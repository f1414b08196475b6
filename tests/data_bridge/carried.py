"""One message carried by a catalog of a few lines, to a broker that the test plays."""

from pathlib import Path

import orjson

from data_bridge.catalog.loader import load
from data_bridge.logs import LimitedLog
from data_bridge.pipeline.pipeline import Pipeline
from data_bridge.settings import CatalogSettings, DeduplicationSettings, Settings
from tests.data_bridge.connections import ScriptedConnection


class Carried:
    """A catalog, and the outcome of messages: values that were sent, counted reasons, details of dead letters."""

    def __init__(
        self, folder: Path, mappings: str, devices: str, deduplication: DeduplicationSettings | None = None
    ) -> None:
        (folder / "mappings.yaml").write_text(mappings)
        (folder / "devices.yaml").write_text(devices)
        catalogs = CatalogSettings(mappings=folder / "mappings.yaml", devices=folder / "devices.yaml")
        deduplication = deduplication or DeduplicationSettings(persist=False)
        chosen = Settings(catalogs=catalogs, deduplication=deduplication, data_directory=folder)
        self.connection = ScriptedConnection()
        self.details: list[str] = []
        self.said: list[tuple[str, str]] = []
        self.reused: list[tuple[str, str]] = []
        self.pipeline = Pipeline(
            self.connection,
            chosen,
            load(chosen.catalog_files()),
            lambda letter, _: self.details.append(letter.detail),
            LimitedLog(lambda reason, _, detail: self.said.append((reason, detail))),
            report_reuse=lambda trace_id, topic: self.reused.append((trace_id, topic)),
        )
        self.pipeline.start()

    def topic(self, payload: bytes, topic: str = "in", delivery: int = 0) -> Carried:
        """Take a message of a topic rule."""
        self.connection.deliver(topic, payload, delivery)
        return self

    def envelope(self, value: bytes) -> Carried:
        """Take an envelope whose VALUE is this JSON."""
        payload = b'{"header":{},"payload":{"Equip.Tag":"t","Message.ID":"m","VALUE":%b}}' % value
        self.connection.deliver("iot/ingress", payload)
        return self

    @property
    def payloads(self) -> list[bytes]:
        """Return the bytes that were sent."""
        return [each.payload for each in self.connection.sent]

    @property
    def value(self) -> object:
        """Return the one value that was sent."""
        (payload,) = self.payloads
        return orjson.loads(payload)["value"]

    @property
    def reasons(self) -> dict[str, int]:
        """Return what was skipped."""
        return self.pipeline.skipped()

    def forget(self) -> None:
        """Confirm what was sent, and begin with the next message."""
        for each in self.connection.take():
            each.answer(0)
