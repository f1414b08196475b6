"""What a basket does with commands and cycles: session, display, updates."""

from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqtt_controller.commands import LARGEST_TOTAL, Command, End, Refused, Start, Total, parse_command
from mqtt_controller.controller import CHANGES_AT_ONCE, Controller
from mqtt_controller.displays import DisplayError, Lines, PriceFormat
from mqtt_controller.messages import told_id, update_payload
from mqtt_controller.poller import Cycle
from mqtt_controller.presence import Sighting
from tests.wire.files import name_of, read_wire_file

COMMANDS = read_wire_file("basket_commands")
UPDATES = read_wire_file("basket_updates")


class RecordingPolling:
    """Which session is polled, None while nothing is."""

    def __init__(self) -> None:
        self.session: int | None = None
        self.starts = 0

    def start(self, session: int) -> None:
        self.session = session
        self.starts += 1

    def stop(self) -> None:
        self.session = None


class RecordingDisplay:
    """What is on the display, None while it is dark."""

    def __init__(self) -> None:
        self.lines: Lines | None = ("never", "set")
        self.broken = False

    def show(self, lines: Lines) -> None:
        if self.broken:
            raise DisplayError("no answer")
        self.lines = lines

    def off(self) -> None:
        if self.broken:
            raise DisplayError("no answer")
        self.lines = None

    def close(self) -> None:
        pass


class RecordingUpdates:
    """What reached the broker while it was there."""

    def __init__(self) -> None:
        self.connected = True
        self.sent: list[bytes] = []

    def send(self, payload: bytes) -> bool:
        if self.connected:
            self.sent.append(payload)
        return self.connected


class Basket:
    """A controller with everything around it recorded."""

    def __init__(self, basket_id: str = "1", price_format: PriceFormat | None = None) -> None:
        self.polling = RecordingPolling()
        self.display = RecordingDisplay()
        self.updates = RecordingUpdates()
        self.controller = Controller(basket_id, self.polling, self.display, self.updates, price_format=price_format)

    def command(self, payload: str) -> None:
        command = parse_command(payload.encode())
        assert not isinstance(command, Refused)
        self.controller.obey(command)

    def sees(self, *codes: str, session: int | None = None) -> None:
        serials = [codes[:place].count(code) for place, code in enumerate(codes)]
        sightings = [
            Sighting(code.encode() + serial.to_bytes(8, "big"), -40)
            for code, serial in zip(codes, serials, strict=True)
        ]
        number = session if session is not None else self.polling.session or 0
        self.controller.cycle(Cycle(number, {"reader": sightings}))

    @property
    def sent(self) -> list[dict[str, int]]:
        return [orjson.loads(payload)["list"] for payload in self.updates.sent]


@pytest.fixture
def basket() -> Basket:
    return Basket()


def test_before_a_start_the_display_is_dark_and_nothing_is_polled(basket: Basket) -> None:
    assert basket.display.lines is None
    assert basket.polling.session is None


def test_start_polls_and_shows_zero(basket: Basket) -> None:
    basket.command("start")
    assert basket.polling.session is not None
    assert basket.display.lines == ("Total Price:", "0 원")


def test_end_stops_polling_and_darkens_the_display(basket: Basket) -> None:
    basket.command("start")
    basket.command('{"msg":"end"}')
    assert basket.polling.session is None
    assert basket.display.lines is None


def test_repeated_starts_and_ends_do_nothing(basket: Basket) -> None:
    basket.command("end")
    assert basket.polling.starts == 0
    basket.command("start")
    basket.command('{"msg":"total","payload":{"basketid":1,"totalprice":12345}}')
    basket.command("start")
    assert basket.polling.starts == 1
    assert basket.display.lines == ("Total Price:", "12,345 원")


def test_total_is_shown(basket: Basket) -> None:
    basket.command("start")
    basket.command('{"msg":"total","payload":{"basketId":1,"totalPrice":"12345"}}')
    assert basket.display.lines == ("Total Price:", "12,345 원")


def test_total_is_ignored_before_a_start_and_after_an_end(basket: Basket) -> None:
    total = '{"msg":"total","payload":{"basketid":1,"totalprice":12345}}'
    basket.command(total)
    assert basket.display.lines is None
    basket.command("start")
    basket.command("end")
    basket.command(total)
    assert basket.display.lines is None


def test_another_baskets_total_is_ignored(basket: Basket) -> None:
    basket.command("start")
    basket.command('{"msg":"total","payload":{"basketid":2,"totalprice":12345}}')
    assert basket.display.lines == ("Total Price:", "0 원")


# This controller tells a number as a number, never as a text.
@pytest.mark.parametrize(
    "case", [case for case in COMMANDS["ids"] if case["told"] == told_id(str(case["told"]))], ids=str
)
def test_a_total_is_shown_by_the_basket_that_the_wire_says(case: dict[str, Any]) -> None:
    basket = Basket(str(case["told"]))
    basket.command("start")
    named = {} if case["named"] is None else {"basketid": case["named"]}
    basket.command(orjson.dumps({"msg": "total", "payload": {**named, "totalprice": 5}}).decode())
    assert (basket.display.lines == ("Total Price:", "5 원")) is case["shown"]


def test_a_display_of_another_currency_shows_its_amounts() -> None:
    basket = Basket(price_format=PriceFormat("EUR", 2))
    basket.command("start")
    assert basket.display.lines == ("Total Price:", "0.00 EUR")
    basket.command('{"msg":"total","payload":{"totalprice":21.99}}')
    assert basket.display.lines == ("Total Price:", "21.99 EUR")


def test_a_new_session_shows_zero_again(basket: Basket) -> None:
    basket.command("start")
    basket.command('{"msg":"total","payload":{"basketid":1,"totalprice":12345}}')
    basket.command("end")
    basket.command("start")
    assert basket.display.lines == ("Total Price:", "0 원")


@pytest.mark.parametrize("message", UPDATES["written"], ids=name_of)
def test_an_update_is_written_as_the_wire_says(message: dict[str, Any]) -> None:
    assert told_id(message["basket_id"]) == message["id"]
    assert update_payload(message["basket_id"], message["contents"]).decode() == message["text"]


def test_an_update_is_sent_once_after_start_and_then_on_change(basket: Basket) -> None:
    basket.command("start")
    basket.sees("MLON", "MLON", "WTMN")
    basket.sees("MLON", "MLON", "WTMN")
    basket.sees("MLON", "MLON", "WTMN", "MILK")
    assert basket.sent == [{"MLON": 2, "WTMN": 1}, {"MILK": 1, "MLON": 2, "WTMN": 1}]


def test_an_empty_basket_is_sent_as_empty(basket: Basket) -> None:
    basket.command("start")
    basket.sees()
    assert basket.updates.sent == [b'{"id":1,"list":{}}']


def test_an_unchanged_basket_is_sent_once_more_after_the_next_start(basket: Basket) -> None:
    for _ in range(2):
        basket.command("start")
        basket.sees("MLON")
        basket.sees("MLON")
        basket.command("end")
    assert basket.sent == [{"MLON": 1}, {"MLON": 1}]


def test_what_the_last_customer_had_is_not_the_next_ones(basket: Basket) -> None:
    basket.command("start")
    basket.sees("MLON")
    basket.command("end")
    basket.command("start")
    basket.sees()
    assert basket.sent == [{"MLON": 1}, {}]


def test_a_cycle_that_ends_after_the_session_is_not_sent(basket: Basket) -> None:
    basket.command("start")
    first = basket.polling.session
    basket.command("end")
    basket.sees("MLON", session=first)
    basket.command("start")
    basket.sees("MLON", session=first)
    assert basket.sent == []


def test_while_the_broker_is_away_only_the_latest_contents_wait(basket: Basket) -> None:
    basket.command("start")
    basket.sees("MLON")
    basket.updates.connected = False
    basket.sees("MLON", "WTMN")
    basket.sees("MLON", "WTMN", "MILK")
    basket.updates.connected = True
    basket.controller.send_again()
    assert basket.sent == [{"MLON": 1}, {"MILK": 1, "MLON": 1, "WTMN": 1}]


def test_contents_that_could_not_be_sent_are_sent_even_after_the_end(basket: Basket) -> None:
    basket.command("start")
    basket.updates.connected = False
    basket.sees("MLON")
    basket.command("end")
    basket.updates.connected = True
    basket.controller.send_again()
    basket.controller.send_again()
    assert basket.sent == [{"MLON": 1}]


def test_a_running_session_is_sent_again_after_a_reconnect_for_qos_0_may_have_been_lost(basket: Basket) -> None:
    basket.command("start")
    basket.sees("MLON")
    basket.controller.send_again()
    assert basket.sent == [{"MLON": 1}, {"MLON": 1}]


def test_a_reconnect_before_the_first_cycle_sends_nothing(basket: Basket) -> None:
    basket.command("start")
    basket.controller.send_again()
    assert basket.sent == []


def test_a_reconnect_at_rest_sends_nothing(basket: Basket) -> None:
    basket.command("start")
    basket.sees("MLON")
    basket.command("end")
    basket.controller.send_again()
    assert basket.sent == [{"MLON": 1}]


def test_the_last_customers_contents_are_not_sent_into_the_next_session(basket: Basket) -> None:
    basket.command("start")
    basket.sees("MLON")
    basket.command("end")
    basket.command("start")
    basket.controller.send_again()
    assert basket.sent == [{"MLON": 1}]


def test_a_broken_display_does_not_stop_the_basket(basket: Basket, caplog: pytest.LogCaptureFixture) -> None:
    basket.display.broken = True
    basket.command("start")
    basket.command('{"msg":"total","payload":{"totalprice":1}}')
    basket.sees("MLON")
    assert basket.sent == [{"MLON": 1}]
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "Display: no answer; the basket goes on without it"
    ]
    basket.display.broken = False
    basket.command('{"msg":"total","payload":{"totalprice":2}}')
    assert basket.display.lines == ("Total Price:", "2 원")


def test_a_foreign_tag_is_named_once(basket: Basket, caplog: pytest.LogCaptureFixture) -> None:
    basket.command("start")
    for _ in range(3):
        basket.controller.cycle(Cycle(1, {"reader": [Sighting(bytes.fromhex("30751FEB705C5904E3D50D70"), -40)]}))
    assert caplog.text.count("Tag 30751FEB705C5904E3D50D70 carries no product code") == 1
    assert basket.sent == [{}]


def test_closing_ends_the_session(basket: Basket) -> None:
    basket.command("start")
    basket.controller.close()
    assert basket.polling.session is None
    assert basket.display.lines is None


def test_a_display_that_changes_all_the_time_shows_the_last_at_the_end(basket: Basket) -> None:
    basket.command("start")
    for price in range(CHANGES_AT_ONCE + 1):
        basket.command(f'{{"msg":"total","payload":{{"totalprice":{price}}}}}')
    assert basket.display.lines != ("Total Price:", f"{CHANGES_AT_ONCE} 원")
    basket.controller.close()
    assert basket.display.lines is None


EVERY_COMMAND = st.sampled_from([Start(), End()]) | st.builds(
    Total, st.decimals(0, LARGEST_TOTAL, places=4), st.none() | st.integers() | st.text(max_size=64)
)


@given(st.lists(EVERY_COMMAND))
def test_no_command_stops_a_basket(commands: list[Command]) -> None:
    basket = Basket()
    for command in commands:
        basket.controller.obey(command)
    basket.command("end")
    basket.command("start")
    assert basket.controller.active


ACTIONS = st.lists(
    st.sampled_from(["start", "end", "lose", "find"]) | st.sets(st.sampled_from(["MLON", "WTMN", "MILK"])), max_size=40
)


@given(ACTIONS)
def test_whatever_happens_the_server_ends_up_with_the_latest_contents(actions: Iterable[str | set[str]]) -> None:
    basket = Basket()
    latest: dict[str, int] | None = None
    recent: list[set[str]] = []
    for action in actions:
        if action == "lose":
            basket.updates.connected = False
        elif action == "find":
            basket.updates.connected = True
            basket.controller.send_again()
        elif isinstance(action, str):
            if action == "start" and not basket.controller.active:
                recent = []
            basket.command(action)
        elif basket.controller.active:
            recent = [*recent[-1:], action]
            latest = dict.fromkeys(sorted(set().union(*recent)), 1)
            basket.sees(*sorted(action))
    basket.updates.connected = True
    basket.controller.send_again()
    assert (basket.sent[-1] if basket.sent else None) == latest
