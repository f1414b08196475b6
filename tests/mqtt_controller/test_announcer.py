"""When a basket says that it is online, and when it sends its contents again."""

import pytest

from mqtt_controller.announcer import REPEAT_SECONDS, Announcer


class Broker:
    """A connection that the test makes and breaks; `said` is what went over it."""

    def __init__(self) -> None:
        self.connection: int | None = None
        self.offline = False
        self.full = False
        self.now = 0.0
        self.said: list[str] = []
        self.announcer = Announcer(self, lambda: self.said.append("contents"), lambda: self.now)

    def called_offline(self) -> bool:
        return self.offline

    def announce(self) -> bool:
        if not self.full:
            self.offline = False
            self.said.append("online")
        return not self.full

    def watch(self, seconds: float = 0.0) -> list[str]:
        """Return what is said after some time."""
        self.now += seconds
        before = len(self.said)
        self.announcer.watch()
        return self.said[before:]


@pytest.fixture
def broker() -> Broker:
    return Broker()


def test_without_a_broker_nothing_is_said(broker: Broker) -> None:
    assert broker.watch() == []


def test_a_new_connection_hears_first_that_the_basket_is_online_and_then_its_contents(broker: Broker) -> None:
    broker.connection = 1
    assert broker.watch() == ["online", "contents"]
    assert broker.watch() == []


def test_the_contents_are_repeated_once_for_clients_that_come_back_later(broker: Broker) -> None:
    broker.connection = 1
    broker.watch()
    assert broker.watch(REPEAT_SECONDS - 1) == []
    assert broker.watch(1) == ["contents"]
    assert broker.watch(REPEAT_SECONDS) == []


def test_every_reconnect_is_a_new_connection(broker: Broker) -> None:
    for number in (1, 2):
        broker.connection = number
        assert broker.watch() == ["online", "contents"]
        broker.connection = None
        assert broker.watch(REPEAT_SECONDS) == []


def test_a_reconnect_between_two_looks_is_noticed(broker: Broker) -> None:
    broker.connection = 1
    broker.watch()
    broker.connection = 2
    assert broker.watch() == ["online", "contents"]


def test_the_loss_is_logged_once(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    broker.connection = 1
    broker.watch()
    broker.connection = None
    broker.watch()
    broker.watch()
    assert caplog.text.count("The broker is away") == 1


def test_a_basket_that_is_called_offline_objects(broker: Broker) -> None:
    broker.connection = 1
    broker.watch()
    broker.offline = True
    assert broker.watch() == ["online", "contents"]


def test_what_could_not_be_announced_is_tried_again(broker: Broker) -> None:
    broker.connection = 1
    broker.full = True
    assert broker.watch() == []
    broker.full = False
    assert broker.watch() == ["online", "contents"]
