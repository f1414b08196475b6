"""One thread that polls the readers, cycle by cycle, while a session runs."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from mqtt_controller.presence import Sighting
from mqtt_controller.readers import Reader, ReaderError

RETRY_FIRST_SECONDS = 0.5
RETRY_LAST_SECONDS = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cycle:
    """One cycle of `session`: what each reader that answered saw, by the reader's name."""

    session: int
    sightings: Mapping[str, Collection[Sighting]]


@dataclass(slots=True)
class _Station:
    """A reader, and how it fares."""

    reader: Reader
    ready: bool = False
    failed: bool = False
    retry_at: float = 0.0
    retry_seconds: float = RETRY_FIRST_SECONDS


class Poller:
    """Calls `report` from its thread with every cycle in which at least one reader answered.

    The readers take turns: two of them transmitting in one basket at once would drown each other's tags. One that
    fails is tried again, 0.5 to 10 s later, while the others go on. An error that no reader should raise ends the
    polling, and `crashed` gets it.
    """

    def __init__(
        self, readers: Iterable[Reader], report: Callable[[Cycle], None], crashed: Callable[[Exception], None]
    ) -> None:
        self._stations = tuple(_Station(reader) for reader in readers)
        self._report = report
        self._crashed = crashed
        self._changed = threading.Condition()
        self._wanted: int | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run_guarded, name="rfid-poller")
        self._thread.start()

    def start(self, session: int) -> None:
        """Poll, and mark every cycle with the number of this session."""
        self._want(session)

    def stop(self) -> None:
        """End polling; a cycle under way may still be reported, with the old session's number."""
        self._want(None)

    def close(self) -> None:
        """End the thread, which takes at most a cycle, and release the readers."""
        with self._changed:
            self._wanted = None
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        for station in self._stations:
            station.reader.close()

    def _want(self, session: int | None) -> None:
        with self._changed:
            self._wanted = session
            self._changed.notify_all()

    def _run_guarded(self) -> None:
        try:
            self._run()
        except Exception as error:
            log.exception("The polling of the RFID readers failed")
            self._crashed(error)

    def _run(self) -> None:
        running: int | None = None
        while True:
            with self._changed:
                while running is None and self._wanted is None and not self._closing:
                    self._changed.wait()
                wanted, closing = self._wanted, self._closing
            if running is not None and wanted != running:
                self._rest()
            running = wanted
            if closing:
                return
            if running is not None:
                self._poll(running)

    def _rest(self) -> None:
        for station in self._stations:
            station.reader.stop()
            station.ready = False
            station.retry_at = 0.0

    def _poll(self, session: int) -> None:
        sightings: dict[str, Collection[Sighting]] = {}
        for station in self._stations:
            if self._wanted != session:
                return
            if station.retry_at <= time.monotonic():
                self._poll_one(station, sightings)
        if sightings:
            self._report(Cycle(session, sightings))
            return
        next_try = min((station.retry_at for station in self._stations), default=time.monotonic() + RETRY_LAST_SECONDS)
        with self._changed:
            self._changed.wait_for(lambda: self._wanted != session, max(0.0, next_try - time.monotonic()))

    def _poll_one(self, station: _Station, sightings: dict[str, Collection[Sighting]]) -> None:
        try:
            if not station.ready:
                station.reader.start()
                station.ready = True
            sightings[station.reader.name] = station.reader.cycle()
        except ReaderError as error:
            if not station.failed:
                log.error("RFID reader %s: %s; trying again", station.reader.name, error)  # noqa: TRY400 -- no trace: the text says it
            station.ready, station.failed = False, True
            station.retry_at = time.monotonic() + station.retry_seconds
            station.retry_seconds = min(2 * station.retry_seconds, RETRY_LAST_SECONDS)
        else:
            if station.failed:
                log.info("RFID reader %s works again", station.reader.name)
            station.failed, station.retry_seconds = False, RETRY_FIRST_SECONDS
