"""What a basket says of its session, and since when, whatever its clock does."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from mqtt_controller.messages import session_payload
from mqtt_controller.session import EARLIEST, Session

WIRE = yaml.safe_load((Path(__file__).parents[1] / "wire" / "basket_session.yaml").read_text())
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize("message", WIRE["written"], ids=lambda message: message["payload"])
def test_a_session_is_written_as_the_wire_says(message: dict[str, Any]) -> None:
    since = None if message["since"] is None else datetime.fromisoformat(message["since"])
    payload = session_payload(str(message["id"]), active=message["state"] == "active", since=since)
    assert payload.decode() == message["payload"]


class Clock:
    """A clock that can be set, and the time that passes whatever it shows."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now.timestamp()
        self.up = 100.0

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self.up += seconds

    def session(self) -> Session:
        return Session(lambda: self.now, lambda: self.up)


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-21T{clock}+00:00")


def test_a_program_that_starts_is_idle_from_then_on() -> None:
    clock = Clock()
    session = clock.session()
    clock.passes(600)
    assert (session.active, session.since) == (False, NOON)


def test_a_session_says_when_it_began_and_when_it_ended() -> None:
    clock = Clock()
    session = clock.session()
    clock.passes(60.7)
    session.begin()
    clock.passes(59.5)
    assert (session.active, session.since) == (True, at("12:01:00"))
    session.end()
    clock.passes(3600)
    assert (session.active, session.since) == (False, at("12:02:00"))


def test_a_clock_that_was_never_set_gives_no_time() -> None:
    clock = Clock(datetime(1970, 1, 1, 0, 5, tzinfo=UTC))
    session = clock.session()
    session.begin()
    assert session.since is None
    assert clock.now < EARLIEST


def test_a_moment_becomes_right_when_the_clock_is_set() -> None:
    clock = Clock(datetime(2026, 11, 1, 3, tzinfo=UTC))
    session = clock.session()
    session.begin()
    clock.passes(30)
    assert session.since == datetime(2026, 11, 1, 3, tzinfo=UTC)
    clock.now = NOON.timestamp()
    assert session.since == at("11:59:30")


def test_small_corrections_of_the_clock_do_not_move_the_moment() -> None:
    clock = Clock()
    session = clock.session()
    session.begin()
    for _ in range(100):
        clock.passes(1)
        clock.now += 0.019
        assert session.since == NOON


def test_each_session_has_its_own_number() -> None:
    session = Clock().session()
    numbers = []
    for _ in range(3):
        session.begin()
        numbers.append(session.number)
        session.end()
    assert numbers == [1, 2, 3]


def test_the_end_of_a_short_session_has_a_moment_of_its_own() -> None:
    clock = Clock()
    session = clock.session()
    session.begin()
    assert session.since == NOON
    clock.passes(1.5)
    session.end()
    assert session.since == at("12:00:01")
