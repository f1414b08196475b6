"""What a server knows of a basket after either of them, or the broker, was away: the real program and a real broker."""

import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from tests.mqtt_controller.conftest import Server, Shop, wait_for

ROOT = "basket/unit0001"
COMMANDS = f"{ROOT}/status"
BIRTH = "homeassistant/status"


def sessions(server: Server) -> list[dict[str, Any]]:
    return [orjson.loads(m.payload) for m in list(server.messages) if m.topic == f"{ROOT}/session"]


def retained(shop: Shop) -> dict[str, Any]:
    """Return the session that a server finds which comes only now."""
    late = Server(shop.broker.port)
    message = late.wait(f"{ROOT}/session", lambda _payload: True)
    late.close()
    assert message.retain
    found: dict[str, Any] = orjson.loads(message.payload)
    return found


def states(server: Server) -> list[str]:
    return [session["state"] for session in sessions(server)]


@pytest.fixture
def shopping(shop: Shop) -> Shop:
    """A shop with one basket in use, in which there is a melon."""
    shop.open("--reader", "interactive", "--products", "MLON,WTMN", BASKET_ID="7")
    shop.server.send(COMMANDS, "start")
    shop.baskets[0].type("a\n")
    shop.server.wait_contents(ROOT, {"MLON": 1})
    return shop


def test_the_session_is_retained_from_start_to_end(shopping: Shop) -> None:
    during = retained(shopping)
    assert (during["state"], during["id"]) == ("active", 7)
    assert abs(datetime.fromisoformat(during["since"]) - datetime.now(UTC)) < timedelta(seconds=30)
    shopping.server.send(COMMANDS, "end")
    shopping.server.wait(f"{ROOT}/session", lambda payload: b"idle" in payload, after=len(shopping.server.messages))
    assert retained(shopping)["state"] == "idle"
    assert states(shopping.server) == ["idle", "active", "idle"]


def test_a_repeated_start_changes_nothing_of_the_session(shopping: Shop) -> None:
    before = sessions(shopping.server)
    shopping.server.send(COMMANDS, "start")
    shopping.baskets[0].type("b\n")
    shopping.server.wait_contents(ROOT, {"MLON": 1, "WTMN": 1})
    assert sessions(shopping.server) == before


def test_an_orderly_end_of_the_program_ends_the_session_first(shopping: Shop) -> None:
    after = len(shopping.server.messages)
    assert shopping.baskets[0].end() == 0
    shopping.server.wait(f"{ROOT}/availability", lambda payload: payload == b"offline", after=after)
    said = [m.topic.removeprefix(f"{ROOT}/") for m in shopping.server.messages[after:] if m.topic.startswith(ROOT)]
    assert said == ["session", "availability"]
    assert retained(shopping)["state"] == "idle"


def test_a_killed_program_is_idle_before_it_is_online_again(shopping: Shop) -> None:
    shopping.baskets[0].end(signal.SIGKILL)
    shopping.server.wait(f"{ROOT}/availability", lambda payload: payload == b"offline")
    # What is retained beside "offline" is the last that was known.
    assert retained(shopping)["state"] == "active"
    after = len(shopping.server.messages)
    shopping.open("--reader", "interactive", "--products", "MLON,WTMN", BASKET_ID="7")
    said = [(m.topic.removeprefix(f"{ROOT}/"), m.payload) for m in shopping.server.messages[after:]]
    assert said[0][0] == "session"
    assert orjson.loads(said[0][1])["state"] == "idle"
    assert said[1] == ("availability", b"online")


def test_a_broker_that_lost_what_was_retained_is_told_the_running_session(shopping: Shop) -> None:
    since = retained(shopping)["since"]
    shopping.server.lost()
    after = len(shopping.server.messages)
    shopping.broker.kill()
    wait_for("the loss", lambda: "The broker is away" in shopping.baskets[0].log.read_text())
    shopping.broker.start()
    shopping.server.wait_until_connected()
    shopping.server.wait(f"{ROOT}/session", lambda payload: b"active" in payload, after=after)
    assert retained(shopping) == {"state": "active", "since": since, "id": 7}


def test_a_home_assistant_that_comes_up_hears_session_and_contents_again(shopping: Shop) -> None:
    after = len(shopping.server.messages)
    shopping.server.send(BIRTH, "online")
    shopping.server.wait_contents(ROOT, {"MLON": 1}, after=after)
    said = shopping.server.wait(f"{ROOT}/session", lambda _payload: True, after=after)
    assert orjson.loads(said.payload)["state"] == "active"


def test_a_home_assistant_that_goes_is_told_nothing(shopping: Shop) -> None:
    after = len(shopping.server.messages)
    shopping.server.send(BIRTH, "offline")
    shopping.baskets[0].type("b\n")
    shopping.server.wait_contents(ROOT, {"MLON": 1, "WTMN": 1}, after=after)
    assert [m.topic for m in shopping.server.messages[after:]] == [BIRTH, f"{ROOT}/update"]


def test_the_birth_topic_is_a_setting(shop: Shop) -> None:
    shop.open("--reader", "random", MQTT_BIRTH_TOPIC="ha/birth")
    after = len(shop.server.messages)
    shop.server.send("ha/birth", "online")
    shop.server.wait(f"{ROOT}/session", lambda payload: b"idle" in payload, after=after)


def test_a_retained_start_begins_nothing(shop: Shop) -> None:
    shop.server.send(COMMANDS, "start", retain=True)
    basket = shop.open("--reader", "interactive", "--products", "MLON,WTMN")
    wait_for("the line", lambda: f"Ignored a retained message on {COMMANDS}" in basket.log.read_text())
    assert retained(shop)["state"] == "idle"
    assert basket.display() == ["off"]
    # A server that always retains is obeyed all the same.
    shop.server.send(COMMANDS, "start", retain=True)
    basket.wait_display("Total Price: / 0 원")
    assert retained(shop)["state"] == "active"


def test_a_retained_end_ends_no_session_that_is_newer(shop: Shop) -> None:
    shop.server.send(COMMANDS, "end", retain=True)
    basket = shop.open("--reader", "interactive", "--products", "MLON,WTMN")
    shop.server.send(COMMANDS, "start")
    basket.wait_display("Total Price: / 0 원")
    shop.server.lost()
    shop.broker.stop()
    wait_for("the loss", lambda: "The broker is away" in basket.log.read_text())
    shop.broker.start()
    shop.server.wait_until_connected()
    after = len(shop.server.messages)
    shop.server.send(COMMANDS, "end", retain=True)
    wait_for("the end", lambda: basket.display()[-1] == "off")
    assert basket.display() == ["off", "Total Price: / 0 원", "off"]
    shop.server.wait(f"{ROOT}/session", lambda payload: b"idle" in payload, after=after)
