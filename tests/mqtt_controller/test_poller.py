"""One thread polls the readers while a session runs; readers fail and recover."""

import queue
import threading
from collections.abc import Callable, Collection, Iterator

import pytest

from mqtt_controller.poller import Cycle, Poller
from mqtt_controller.presence import Sighting
from mqtt_controller.readers import ReaderError
from tests.mqtt_controller.conftest import PATIENCE, wait_for

MELON = Sighting(b"MLON" + bytes(8), -50)


class Reader:
    """A reader that the test breaks; each cycle waits for nothing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[str] = []
        self.error: Exception | None = None
        self.threads: set[int] = set()

    def start(self) -> None:
        self.calls.append("start")
        self.threads.add(threading.get_ident())
        if self.error is not None:
            raise self.error

    def cycle(self) -> Collection[Sighting]:
        if self.error is not None:
            raise self.error
        self.calls.append("cycle")
        threading.Event().wait(0.001)
        return [MELON]

    def stop(self) -> None:
        self.calls.append("stop")

    def close(self) -> None:
        self.calls.append("close")


class Polled:
    def __init__(self, *readers: Reader) -> None:
        self.cycles: queue.SimpleQueue[Cycle] = queue.SimpleQueue()
        self.crashes: queue.SimpleQueue[Exception] = queue.SimpleQueue()
        self.poller = Poller(readers, self.cycles.put, self.crashes.put)

    def next(self, accepts: Callable[[Cycle], bool] = lambda _cycle: True) -> Cycle:
        while not accepts(cycle := self.cycles.get(timeout=PATIENCE)):
            pass
        return cycle


@pytest.fixture
def left() -> Reader:
    return Reader("left")


@pytest.fixture
def right() -> Reader:
    return Reader("right")


@pytest.fixture
def polled(left: Reader, right: Reader) -> Iterator[Polled]:
    before = threading.active_count()
    polled = Polled(left, right)
    yield polled
    polled.poller.close()
    assert threading.active_count() == before


def test_nothing_is_polled_before_a_session(polled: Polled, left: Reader) -> None:
    polled.poller.stop()
    assert left.calls == []


def test_a_cycle_has_what_each_reader_saw_and_the_sessions_number(polled: Polled) -> None:
    polled.poller.start(7)
    assert polled.next() == Cycle(7, {"left": [MELON], "right": [MELON]})


def test_a_new_session_stops_and_starts_the_readers(polled: Polled, left: Reader) -> None:
    polled.poller.start(1)
    polled.next()
    polled.poller.stop()
    wait_for("the stop", lambda: left.calls[-1] == "stop")
    polled.poller.start(2)
    polled.next(lambda cycle: cycle.session == 2)
    assert left.calls.count("start") == 2


def test_a_session_that_follows_at_once_starts_the_readers_anew(polled: Polled, left: Reader) -> None:
    polled.poller.start(1)
    polled.next()
    polled.poller.stop()
    polled.poller.start(2)
    polled.next(lambda cycle: cycle.session == 2)
    assert left.calls.count("start") == 2


def test_all_readers_are_used_by_one_thread(polled: Polled, left: Reader, right: Reader) -> None:
    polled.poller.start(1)
    polled.next()
    assert left.threads == right.threads
    assert len(left.threads) == 1


def test_a_failed_reader_is_left_out_and_comes_back(
    polled: Polled, left: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    left.error = ReaderError("no answer")
    polled.poller.start(1)
    assert polled.next() == Cycle(1, {"right": [MELON]})
    left.error = None
    polled.next(lambda cycle: "left" in cycle.sightings)
    assert caplog.text.count("RFID reader left: no answer; trying again") == 1


def test_an_end_is_heard_while_all_readers_have_failed(polled: Polled, left: Reader, right: Reader) -> None:
    left.error = right.error = ReaderError("no answer")
    polled.poller.start(1)
    wait_for("the tries", lambda: "start" in right.calls)
    polled.poller.stop()
    wait_for("the stop", lambda: right.calls[-1] == "stop")
    assert polled.cycles.empty()


def test_an_error_that_no_reader_should_raise_is_not_kept_quiet(polled: Polled, left: Reader) -> None:
    left.error = ZeroDivisionError("a mistake")
    polled.poller.start(1)
    assert isinstance(polled.crashes.get(timeout=PATIENCE), ZeroDivisionError)


def test_closing_closes_every_reader(left: Reader, right: Reader) -> None:
    polled = Polled(left, right)
    polled.poller.start(1)
    polled.next()
    polled.poller.close()
    assert left.calls[-2:] == ["stop", "close"]
    assert right.calls[-2:] == ["stop", "close"]
