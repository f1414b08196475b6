"""The real program against a real Mosquitto: what a server sees of a basket, and what a customer reads."""

import os
import signal
import subprocess
import sys
import termios
from pathlib import Path

import orjson
import pytest

from development.mosquitto import Mosquitto
from mqtt_controller.readers.emulator import ReaderEmulator
from tests.mqtt_controller.conftest import PATIENCE, BasketProcess, Server, Shop, wait_for

ROOT = "basket/unit0001"
COMMANDS = f"{ROOT}/status"


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "script"
    path.write_text("0 add MLON 2\n0 add WTMN\n")
    return str(path)


def test_a_session_from_start_to_end(shop: Shop, script: str) -> None:
    basket = shop.open("--script", script, BASKET_ID="1")
    basket.wait_display("off")
    shop.server.send(COMMANDS, "start")
    basket.wait_display("Total Price: / 0 원")
    update = shop.server.wait(f"{ROOT}/update", lambda _payload: True)
    assert update.payload == b'{"id":1,"list":{"MLON":2,"WTMN":1}}'
    assert (update.qos, update.retain) == (0, False)
    shop.server.send(COMMANDS, '{"msg":"total","payload":{"basketid":1,"totalprice":12345}}')
    basket.wait_display("Total Price: / 12,345 원")
    shop.server.send(COMMANDS, '{"msg":"end"}')
    wait_for("a dark display", lambda: basket.display()[-1] == "off")
    assert shop.server.contents(ROOT) == [{"MLON": 2, "WTMN": 1}]


def test_a_basket_with_a_text_for_an_id(shop: Shop, script: str) -> None:
    basket = shop.open("--script", script, BASKET_ID="unit0001")
    shop.server.send(COMMANDS, "start")
    update = shop.server.wait(f"{ROOT}/update", lambda _payload: True)
    assert orjson.loads(update.payload)["id"] == "unit0001"
    shop.server.send(COMMANDS, '{"MSG":"total","payload":{"basketId":"unit0002","totalPrice":1}}')
    shop.server.send(COMMANDS, '{"MSG":"total","payload":{"basketId":"unit0001","totalPrice":2}}')
    basket.wait_display("Total Price: / 2 원")
    assert "Total Price: / 1 원" not in basket.display()


def test_no_message_stops_a_basket(shop: Shop, script: str) -> None:
    basket = shop.open("--script", script)
    deep = b'{"msg":' * 2000
    hostile = [b"", b"total", b"15000", b'"start', b"\xff\x00\xfe", b"[" * 1000, deep, b"null", bytes(1_000_000)]
    for payload in hostile:
        shop.server.send(COMMANDS, payload)
    shop.server.send(COMMANDS, "start")
    shop.server.wait_contents(ROOT, {"MLON": 2, "WTMN": 1})
    assert basket.process.poll() is None
    assert basket.log.read_text().count("Ignored a message on the command topic") == len(hostile)
    assert "Traceback" not in basket.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(shop: Shop, script: str, number: signal.Signals) -> None:
    basket = shop.open("--script", script)
    shop.server.send(COMMANDS, "start")
    shop.server.wait_contents(ROOT, {"MLON": 2, "WTMN": 1})
    assert basket.end(number) == 0
    assert basket.display()[-1] == "off"
    shop.server.wait(f"{ROOT}/availability", lambda payload: payload == b"offline")
    assert "Traceback" not in basket.log.read_text()
    late = Server(shop.broker.port)
    assert late.wait(f"{ROOT}/availability", lambda _payload: True).retain
    assert late.availability(ROOT) == [(b"offline", True)]
    late.close()


def test_a_signal_ends_it_while_there_is_no_broker(shop: Shop) -> None:
    shop.broker.stop()
    basket = shop.run("--reader", "random")
    wait_for("the first try", lambda: "No connection to the broker yet" in basket.log.read_text())
    assert basket.end() == 0


def test_availability_is_retained(shop: Shop) -> None:
    shop.open("--reader", "random")
    late = Server(shop.broker.port)
    late.wait(f"{ROOT}/availability", lambda _payload: True)
    assert late.availability(ROOT) == [(b"online", True)]
    late.close()


def test_a_killed_basket_leaves_its_last_will(shop: Shop) -> None:
    basket = shop.open("--reader", "random")
    assert basket.end(signal.SIGKILL) == -signal.SIGKILL
    shop.server.wait(f"{ROOT}/availability", lambda payload: payload == b"offline")
    late = Server(shop.broker.port)
    late.wait(f"{ROOT}/availability", lambda _payload: True)
    assert late.availability(ROOT) == [(b"offline", True)]
    late.close()


def test_a_last_will_that_comes_late_is_corrected(shop: Shop) -> None:
    shop.open("--reader", "random")
    after = len(shop.server.messages)
    # What the broker publishes when it finds out that the connection before this one is dead.
    shop.server.send(f"{ROOT}/availability", "offline", retain=True)
    shop.server.wait(f"{ROOT}/availability", lambda payload: payload == b"online", after=after)


def test_a_basket_started_before_its_broker_comes_online(shop: Shop, script: str) -> None:
    assert shop.server.availability(ROOT) == []
    shop.server.lost()
    shop.broker.stop()
    basket = shop.run("--script", script)
    wait_for("the first try", lambda: "No connection to the broker yet" in basket.log.read_text())
    shop.broker.start()
    shop.server.wait_until_connected()
    shop.server.wait(f"{ROOT}/availability", lambda payload: payload == b"online")
    shop.server.send(COMMANDS, "start")
    shop.server.wait_contents(ROOT, {"MLON": 2, "WTMN": 1})


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_what_changes_while_the_broker_is_away_arrives_when_it_is_back(shop: Shop, how: str) -> None:
    basket = shop.open("--reader", "interactive", "--products", "MLON,WTMN")
    shop.server.send(COMMANDS, "start")
    basket.type("a\n")
    shop.server.wait_contents(ROOT, {"MLON": 1})
    shop.server.lost()
    after = len(shop.server.messages)
    if how == "stopped":
        shop.broker.stop()
    else:
        shop.broker.kill()
    wait_for("the loss", lambda: "The broker is away" in basket.log.read_text())
    basket.type("ab\n")
    basket.type("b\n")
    wait_for("the keys", lambda: basket.log.read_text().count("+ WTMN") == 2)
    # The server is to be back before the basket, or it could not see what the basket sends on its return.
    basket.process.send_signal(signal.SIGSTOP)
    shop.broker.start()
    shop.server.wait_until_connected()
    basket.process.send_signal(signal.SIGCONT)
    shop.server.wait(f"{ROOT}/availability", lambda payload: payload == b"online", after=after)
    shop.server.wait_contents(ROOT, {"MLON": 2, "WTMN": 2}, after=after)
    shop.server.send(COMMANDS, '{"msg":"total","payload":{"basketid":1,"totalprice":777}}')
    basket.wait_display("Total Price: / 777 원")
    basket.type("B\n")
    shop.server.wait_contents(ROOT, {"MLON": 2, "WTMN": 1}, after=after)


def test_keys_from_a_pipe_fill_the_basket_and_q_leaves(shop: Shop) -> None:
    basket = shop.open("--reader", "interactive", "--products", "MLON,WTMN")
    shop.server.send(COMMANDS, "start")
    basket.type("aab\n")
    shop.server.wait_contents(ROOT, {"MLON": 2, "WTMN": 1})
    basket.type("A\n")
    shop.server.wait_contents(ROOT, {"MLON": 1, "WTMN": 1})
    basket.type("q\n")
    assert basket.process.wait(PATIENCE) == 0
    assert "a/A MLON" in basket.log.read_text()


def test_in_a_terminal_keys_act_at_once_and_the_display_is_a_box(shop: Shop) -> None:
    host, device = os.openpty()
    before = termios.tcgetattr(device)
    basket = shop.open("--products", "MLON,WTMN", terminal=device)
    shop.server.send(COMMANDS, "start")
    os.write(host, b"aab")
    shop.server.wait_contents(ROOT, {"MLON": 2, "WTMN": 1})
    os.write(host, b"q")
    assert basket.process.wait(PATIENCE) == 0
    assert termios.tcgetattr(device) == before
    screen = os.read(host, 65536).decode()
    assert "│0 원            │" in screen
    os.close(host)
    os.close(device)


def test_the_random_shopper_needs_nobody(shop: Shop) -> None:
    shop.open("--reader", "random", "--seed", "1")
    shop.server.send(COMMANDS, "start")
    shop.server.wait(f"{ROOT}/update", lambda payload: sum(orjson.loads(payload)["list"].values()) == 3)


def test_two_readers_on_serial_ports(shop: Shop) -> None:
    with ReaderEmulator(link=shop.directory / "left") as left, ReaderEmulator(link=shop.directory / "right") as right:
        melon, far = b"MLON" + bytes.fromhex("7E BB 00 7E 00 00 00 01"), b"MILK" + bytes(8)
        left.tags = {melon: -55, far: -59}
        right.tags = {melon: -40, b"WTMN" + bytes(8): -58}
        shop.open("--serial-port", left.path, "--serial-port", right.path)
        assert (left.received, right.received) == ([], [])
        shop.server.send(COMMANDS, "start")
        shop.server.wait_contents(ROOT, {"MLON": 1, "WTMN": 1})
        left.tags = {far: -50}
        shop.server.wait_contents(ROOT, {"MILK": 1, "MLON": 1, "WTMN": 1})
        right.tags = {}
        shop.server.wait_contents(ROOT, {"MILK": 1})
        left.tags = {}
        shop.server.wait_contents(ROOT, {})
        # Each change came as one update or two, never with a product that was not there.
        assert all(contents.keys() <= {"MILK", "MLON", "WTMN"} for contents in shop.server.contents(ROOT))
        shop.server.send(COMMANDS, "end")
        wait_for("silence on the air", lambda: shop.baskets[0].display()[-1] == "off" and not left.polling)


def test_a_pulled_reader_keeps_its_products_and_works_again(shop: Shop) -> None:
    with ReaderEmulator(link=shop.directory / "reader") as reader:
        reader.tags = {b"MLON" + bytes(8): -50}
        basket = shop.open("--serial-port", reader.path)
        shop.server.send(COMMANDS, "start")
        shop.server.wait_contents(ROOT, {"MLON": 1})
        reader.unplug()
        wait_for("the error", lambda: "trying again" in basket.log.read_text())
        reader.tags = {b"MLON" + bytes(8): -50, b"WTMN" + bytes(8): -50}
        reader.plug_in()
        shop.server.wait_contents(ROOT, {"MLON": 1, "WTMN": 1})
        wait_for("the recovery", lambda: "works again" in basket.log.read_text())
        assert shop.server.contents(ROOT) == [{"MLON": 1}, {"MLON": 1, "WTMN": 1}]
        assert "Traceback" not in basket.log.read_text()


def test_a_reader_that_is_not_there_at_the_start_is_found_later(shop: Shop) -> None:
    reader = ReaderEmulator(link=shop.directory / "reader")
    basket = shop.open("--serial-port", str(shop.directory / "reader"))
    shop.server.send(COMMANDS, "start")
    wait_for("the error", lambda: "trying again" in basket.log.read_text())
    assert shop.server.contents(ROOT) == []
    reader.basket.add("MLON")
    with reader:
        shop.server.wait_contents(ROOT, {"MLON": 1})


def test_the_emulator_is_a_program_of_its_own(shop: Shop) -> None:
    link = shop.directory / "reader"
    command = [sys.executable, "-m", "mqtt_controller.readers.emulator", "--link", str(link), "MLON"]
    with subprocess.Popen(  # noqa: S603 -- ours
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as emulator:
        assert emulator.stdin is not None
        assert emulator.stdout is not None
        assert emulator.stdout.readline() == f"{link}\n"
        shop.open("--serial-port", str(link))
        shop.server.send(COMMANDS, "start")
        shop.server.wait_contents(ROOT, {"MLON": 1})
        emulator.stdin.write("add WTMN 2\nnonsense\nremove MLON\n")
        emulator.stdin.flush()
        shop.server.wait_contents(ROOT, {"WTMN": 2})
        emulator.stdin.close()
        assert emulator.wait(PATIENCE) == 0
    assert not link.is_symlink()


@pytest.fixture
def locked_shop(shop: Shop, tmp_path: Path) -> Shop:
    shop.broker = shop.stack.enter_context(Mosquitto(tmp_path / "locked", users={"unit": "correct horse"}))
    return shop


def test_a_user_with_a_password_is_let_in_and_the_password_is_never_logged(locked_shop: Shop) -> None:
    basket = locked_shop.run("--reader", "random", "--log-level", "DEBUG", MQTT_USER="unit", MQTT_PASS="correct horse")
    wait_for("the connection", lambda: " INFO Connected" in basket.log.read_text())
    assert basket.end() == 0
    assert "correct horse" not in basket.log.read_text() + basket.output.read_text()


def test_a_wrong_password_ends_it_with_the_brokers_reason(locked_shop: Shop) -> None:
    basket = locked_shop.run("--reader", "random", MQTT_USER="unit", MQTT_PASS="wrong donkey")
    assert basket.process.wait(PATIENCE) == 1
    said = basket.log.read_text()
    assert "mqtt_controller: 127.0.0.1:" in said
    assert "wrong donkey" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--port", "0"), "mqtt_controller: MQTT_PORT or --port is '0'"),
        (("--script", "no-such-script"), "mqtt_controller: no-such-script: "),
    ],
)
def test_a_wrong_setting_is_one_sentence(shop: Shop, flags: tuple[str, ...], reason: str) -> None:
    basket = shop.run(*flags)
    assert basket.process.wait(PATIENCE) == 2
    said = basket.log.read_text()
    assert said.startswith(reason)
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("BASKET_ID", b"\xff\xfe", "BASKET_ID or --basket-id: a basket id must be valid Unicode"),
        ("MQTT_TOPIC", b"b" * 70_000, "MQTT_TOPIC or --topic is 'bbb"),
        ("MQTT_TOPIC", b"basket/\x1b[31m", r"MQTT_TOPIC or --topic is 'basket/\x1b[31m'"),
        ("MQTT_PASS", b"correct horse", "MQTT_PASS or --password is set without MQTT_USER"),
        ("MQTT_HOST", b"no\xffhost", r"MQTT_HOST or --host is 'no\udcffhost'"),
    ],
)
def test_a_variable_that_cannot_be_used_is_one_sentence(name: str, value: bytes, reason: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "mqtt_controller", "--reader", "random"],
        env={**os.environb, name.encode(): value},
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr.decode().startswith(f"mqtt_controller: {reason}")
    assert len(ended.stderr.splitlines()) == 1
    assert b"correct horse" not in ended.stderr


def test_a_basket_whose_id_has_capitals_is_told_that_totals_cannot_name_it(shop: Shop) -> None:
    basket = shop.open("--reader", "random", BASKET_ID="Unit0001")
    wait_for("the line", lambda: "Totals that name 'Unit0001' will not be shown" in basket.log.read_text())


def test_two_baskets_on_one_broker_hear_only_their_own_commands(shop: Shop, script: str) -> None:
    shop.open("--script", script, BASKET_ID="1")
    other = shop.open("--script", script, root="basket/2", BASKET_ID="2")
    shop.server.send(COMMANDS, "start")
    shop.server.wait_contents(ROOT, {"MLON": 2, "WTMN": 1})
    assert shop.server.contents("basket/2") == []
    assert other.display() == ["off"]


def held(basket: BasketProcess) -> tuple[int, int]:
    """Return how many threads and open descriptors a process has."""
    process = Path(f"/proc/{basket.process.pid}")
    return len(list((process / "task").iterdir())), len(list((process / "fd").iterdir()))


# 2,000 take two minutes: MQTT_CONTROLLER_SESSIONS=2000 scripts/test tests/mqtt_controller
SESSIONS = int(os.environ.get("MQTT_CONTROLLER_SESSIONS", "10"))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads and descriptors are counted in Linux's /proc")
@pytest.mark.timeout(60 + SESSIONS)
def test_many_sessions_leave_nothing_behind(shop: Shop) -> None:
    with ReaderEmulator(link=shop.directory / "reader", round_seconds=0.005) as reader:
        basket = shop.open("--serial-port", reader.path, "--cycle", "0.02")
        before: tuple[int, int] | None = None
        for number in range(SESSIONS):
            reader.tags = {b"ITEM" + serial.to_bytes(8, "big"): -40 for serial in range(number % 3)}
            after = len(shop.server.messages)
            shop.server.send(COMMANDS, "start")
            shop.server.wait_contents(ROOT, {"ITEM": number % 3} if number % 3 else {}, after=after)
            shop.server.send(COMMANDS, "end")
            wait_for("the end", lambda: basket.display()[-1] == "off")
            before = before or held(basket)
        assert held(basket) == before
        assert basket.display().count("Total Price: / 0 원") == SESSIONS
