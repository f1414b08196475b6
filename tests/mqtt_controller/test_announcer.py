"""When a basket says that it is online, and when it says its session and its contents again."""

import pytest

from mqtt_controller.announcer import ANSWER_SECONDS, CHANGES_AT_ONCE, REPEAT_SECONDS, Announcer


class Broker:
    """A connection that the test makes and breaks; `said` is what went over it."""

    def __init__(self) -> None:
        self.connection: int | None = None
        self.offline = False
        self.full = False
        self.now = 0.0
        self.said: list[str] = []
        self.came_up = False
        self.session = "idle"
        self.announcer = Announcer(self, self.session_payload, lambda: self.said.append("contents"), lambda: self.now)

    def session_payload(self) -> bytes:
        return self.session.encode()

    def called_offline(self) -> bool:
        return self.offline

    def server_came_up(self) -> bool:
        came_up, self.came_up = self.came_up, False
        return came_up

    def say_session(self, payload: bytes) -> bool:
        if not self.full:
            self.said.append(payload.decode())
        return not self.full

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


def test_a_new_connection_hears_the_session_then_that_the_basket_is_online_and_its_contents(broker: Broker) -> None:
    broker.connection = 1
    assert broker.watch() == ["idle", "online", "contents"]
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
        assert broker.watch() == ["idle", "online", "contents"]
        broker.connection = None
        assert broker.watch(REPEAT_SECONDS) == []


def test_a_reconnect_between_two_looks_is_noticed(broker: Broker) -> None:
    broker.connection = 1
    broker.watch()
    broker.connection = 2
    assert broker.watch() == ["idle", "online", "contents"]


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
    assert broker.watch() == ["idle", "online", "contents"]


def test_what_could_not_be_announced_is_tried_again(broker: Broker) -> None:
    broker.connection = 1
    broker.full = True
    assert broker.watch() == []
    broker.full = False
    assert broker.watch() == ["idle", "online", "contents"]


def test_a_changed_session_is_said_at_once_and_only_once(broker: Broker) -> None:
    broker.connection = 1
    broker.watch()
    broker.said.clear()
    broker.session = "active"
    for _ in range(2):
        broker.announcer.say_session()
        broker.watch()
    assert broker.said == ["active"]


def test_a_session_that_could_not_be_said_is_said_when_it_can(broker: Broker) -> None:
    broker.connection = 1
    broker.watch()
    broker.session, broker.full = "active", True
    assert broker.watch() == []
    broker.full = False
    assert broker.watch() == ["active"]


def test_a_session_that_changes_before_the_new_connection_is_announced_is_said_with_it(broker: Broker) -> None:
    broker.connection = 1
    broker.watch()
    broker.connection, broker.session = 2, "active"
    broker.announcer.say_session()
    assert broker.said == ["idle", "online", "contents"]
    assert broker.watch() == ["active", "online", "contents"]


def test_without_a_connection_no_session_is_said(broker: Broker) -> None:
    broker.announcer.say_session()
    broker.connection = 1
    broker.watch()
    broker.connection, broker.session = None, "active"
    broker.said.clear()
    broker.announcer.say_session()
    assert broker.said == []


def test_a_server_that_came_up_is_told_everything_and_once_more_later(broker: Broker) -> None:
    broker.connection = 1
    broker.watch()
    broker.watch(REPEAT_SECONDS)
    broker.came_up = True
    assert broker.watch() == ["idle", "contents"]
    assert broker.watch(REPEAT_SECONDS - 1) == []
    assert broker.watch(1) == ["contents"]


def test_servers_that_come_up_all_the_time_are_answered_now_and_then(broker: Broker) -> None:
    broker.connection = 1
    broker.watch()
    broker.said.clear()
    for _ in range(41):
        broker.came_up = True
        broker.watch(ANSWER_SECONDS / 8)
    assert broker.said == ["idle", "contents"] * 5


def test_a_server_that_came_up_before_the_basket_was_connected_is_told_once(broker: Broker) -> None:
    broker.came_up = True
    broker.watch()
    broker.connection = 1
    assert broker.watch() == ["idle", "online", "contents"]
    assert broker.watch(ANSWER_SECONDS) == []


def test_a_session_that_changes_all_the_time_is_said_now_and_then_and_at_the_end(broker: Broker) -> None:
    broker.connection = 1
    broker.watch()
    broker.said.clear()
    for number in range(1000):
        broker.session = f"session {number}"
        broker.announcer.say_session()
    assert len(broker.said) == CHANGES_AT_ONCE
    broker.announcer.close()
    assert broker.said[CHANGES_AT_ONCE:] == ["session 999"]


def test_the_last_session_is_said_to_a_connection_that_is_not_announced_yet(broker: Broker) -> None:
    broker.connection, broker.session = 1, "active"
    broker.watch()
    broker.connection, broker.session = 2, "idle"
    broker.said.clear()
    broker.announcer.close()
    assert broker.said == ["idle"]
