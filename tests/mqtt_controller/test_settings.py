"""The fielded environment variables and the flags that win over them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqtt_controller.displays import PriceFormat
from mqtt_controller.messages import update_payload
from mqtt_controller.settings import LcdSettings, SerialSettings, Settings, SettingsError, read_settings

FIELD = {
    "MQTT_HOST": "broker.shop",
    "MQTT_PORT": "8883",
    "MQTT_TOPIC": "basket/store02/unit015",
    "MQTT_USER": "unit015",
    "MQTT_PASS": " correct horse ",
    "BASKET_ID": "15",
}


def settings(*flags: str, environment: dict[str, str] | None = None, in_terminal: bool = False) -> Settings:
    return read_settings(flags, environment or {}, in_terminal=in_terminal)


def test_the_fielded_variables_are_read() -> None:
    read = settings(environment=FIELD)
    assert (read.host, read.port, read.user, read.password) == ("broker.shop", 8883, "unit015", " correct horse ")
    assert read.basket_id == "15"
    assert read.command_topic == "basket/store02/unit015/status"
    assert read.update_topic == "basket/store02/unit015/update"
    assert read.availability_topic == "basket/store02/unit015/availability"


def test_without_anything_it_is_basket_1_on_this_machine() -> None:
    assert settings() == Settings()
    assert Settings().root == "basket/1"


def test_empty_variables_are_unset_ones_and_an_empty_user_is_anonymous() -> None:
    assert settings(environment=dict.fromkeys(FIELD, "")) == Settings()


def test_the_root_follows_the_basket_id_unless_it_is_set() -> None:
    assert settings("--basket-id", "7").root == "basket/7"
    assert settings("--basket-id", "7", environment={"MQTT_TOPIC": "shop/a/"}).root == "shop/a"


def test_flags_win() -> None:
    flags = (
        *("--host", "other", "--port", "1884", "--topic", "basket/2", "--user", "u", "--password", "p"),
        *("--basket-id", "2"),
    )
    read = settings(*flags, environment=FIELD)
    assert (read.host, read.port, read.root, read.user, read.password, read.basket_id) == (
        *("other", 1884, "basket/2", "u", "p"),
        "2",
    )


def test_an_empty_flag_wins_too() -> None:
    read = settings("--user", "", "--password", "", environment=FIELD)
    assert (read.user, read.password) == (None, None)


def test_the_password_is_in_no_text_of_the_settings() -> None:
    read = settings(environment=FIELD)
    assert "correct horse" not in f"{read!r}{read}"


@pytest.mark.parametrize(
    ("flags", "in_terminal", "reader"),
    [
        ((), False, "random"),
        ((), True, "interactive"),
        (("--script", "a.txt"), True, "script"),
        (("--serial-port", "/dev/ttyUSB1"), True, "serial"),
        (("--reader", "random"), True, "random"),
        (("--reader", "serial"), False, "serial"),
    ],
)
def test_the_reader_follows_what_is_asked_for(flags: tuple[str, ...], in_terminal: bool, reader: str) -> None:
    assert settings(*flags, in_terminal=in_terminal).reader == reader


def test_hardware_is_described_by_flags() -> None:
    read = settings(
        *("--serial-port", "/dev/ttyUSB0", "--serial-port", "/dev/ttyUSB1", "--region", "us", "--power", "20"),
        *("--display", "i2c", "--lcd-address", "0x3F", "--lcd-bus", "0", "--lcd-charmap", "A02"),
    )
    assert read.serial == SerialSettings(("/dev/ttyUSB0", "/dev/ttyUSB1"), "us", 20.0)
    assert read.lcd == LcdSettings("PCF8574", 0x3F, 0, "A02")


def test_the_display_has_a_currency() -> None:
    assert settings().price_format == PriceFormat("원", 0)
    read = settings("--decimals", "2", environment={"DISPLAY_CURRENCY": "EUR", "DISPLAY_DECIMALS": "0"})
    assert read.price_format == PriceFormat("EUR", 2)


def test_simulations_are_described_by_flags() -> None:
    read = settings("--products", "AAAA, BBBB,AAAA", "--seed", "3", "--cycle", "0.2")
    assert (read.products, read.seed, read.cycle_seconds) == (("AAAA", "BBBB"), 3, 0.2)
    assert settings("--script", "a.txt").script == Path("a.txt")


@pytest.mark.parametrize(
    ("flags", "environment", "reason"),
    [
        ((), {"MQTT_PORT": "mqtt"}, "MQTT_PORT or --port is 'mqtt': expected a number from 1 to 65535"),
        (("--port", "0"), {}, "MQTT_PORT or --port is '0': expected a number from 1 to 65535"),
        (("--port", "70000"), {}, "MQTT_PORT or --port is '70000'"),
        (("--port", "9" * 5000), {}, "MQTT_PORT or --port is '9{40}'"),
        (("--port", "１８８３"), {}, "MQTT_PORT or --port is"),  # noqa: RUF001 -- full-width digits are the point
        ((), {"DISPLAY_CURRENCY": "€"}, "DISPLAY_CURRENCY or --currency is '€': expected up to four letters"),
        (("--currency", "EUROS"), {}, "DISPLAY_CURRENCY or --currency is 'EUROS'"),
        ((), {"DISPLAY_DECIMALS": "5"}, "DISPLAY_DECIMALS or --decimals is '5': expected a number from 0 to 4"),
        (("--decimals", "two"), {}, "DISPLAY_DECIMALS or --decimals is 'two'"),
        ((), {"MQTT_TOPIC": "basket/+"}, "MQTT_TOPIC or --topic is 'basket/[+]': expected a topic without wildcards"),
        ((), {"MQTT_TOPIC": "$SYS/basket"}, "MQTT_TOPIC or --topic"),
        ((), {"MQTT_TOPIC": "b" * 70_000}, r"MQTT_TOPIC or --topic is 'b{80}': .* may have 65535 bytes, not 70000"),
        # The root alone could be published on; its topics could not.
        ((), {"MQTT_TOPIC": "b" * 65_530}, r"MQTT_TOPIC or --topic is .* may have 65535 bytes"),
        ((), {"MQTT_TOPIC": "a/" * 250 + "b"}, r"MQTT_TOPIC or --topic is .* may have 200 slashes"),
        ((), {"MQTT_TOPIC": "basket/\x01"}, r"MQTT_TOPIC or --topic is 'basket/\\x01': .*control characters"),
        ((), {"MQTT_TOPIC": "basket/\udcff"}, r"MQTT_TOPIC or --topic is 'basket/\\udcff': .*valid Unicode"),
        ((), {"BASKET_ID": "\udcff"}, r"BASKET_ID or --basket-id: a basket id must be valid Unicode"),
        ((), {"BASKET_ID": "1\x7f"}, "BASKET_ID or --basket-id: a basket id must not contain control characters"),
        (("--basket-id", "x" * 65), {}, "BASKET_ID or --basket-id has 65 characters: expected 64 at most"),
        (("--basket-id", "+"), {}, "MQTT_TOPIC or --topic is 'basket/[+]'"),
        ((), {"MQTT_PASS": "secret"}, "MQTT_PASS or --password is set without MQTT_USER or --user"),
        ((), {"MQTT_USER": "u\x01u"}, "MQTT_USER or --user: a user name must not contain control characters"),
        ((), {"MQTT_USER": "u" * 70_000}, "MQTT_USER or --user: a user name may have 65535 bytes"),
        ((), {"MQTT_USER": "u", "MQTT_PASS": "p" * 70_000}, "MQTT_PASS or --password is not UTF-8, or longer than"),
        ((), {"MQTT_USER": "u", "MQTT_PASS": "\udcff"}, "MQTT_PASS or --password is not UTF-8, or longer than"),
        ((), {"MQTT_HOST": "a..b"}, "MQTT_HOST or --host is 'a..b': expected a name or an address"),
        (("--host", "h" * 64), {}, "MQTT_HOST or --host is 'h{64}'"),
        (("--host", "a\x01"), {}, r"MQTT_HOST or --host is 'a\\x01'"),
        (("--birth-topic", "#"), {}, "MQTT_BIRTH_TOPIC or --birth-topic: .* wildcard"),
        (("--topic", "homeassistant"), {}, "--birth-topic is 'homeassistant/status', which is a topic of the basket"),
        (("--lcd-bus", "-1"), {}, "--lcd-bus is -1: expected 0 to 255"),
        ((), {"MQTT_TOPIC": "/"}, "MQTT_TOPIC or --topic"),
        (("--products", "MELON"), {}, "--products has 'MELON'"),
        (("--products", " , "), {}, "--products names no product"),
        (("--cycle", "nan"), {}, "--cycle is nan: expected 0.01 to 60 seconds"),
        (("--power", "99"), {}, "--power is 99.0: expected 0 to 33 dBm"),
        (("--lcd-address", "LCD"), {}, "--lcd-address is 'LCD': expected a number such as 0x27"),
        (("--lcd-address", "0x100"), {}, "--lcd-address is 256: expected 3 to 119"),
        (("--reader", "script"), {}, "--reader script and --script FILE go together"),
        (("--reader", "random", "--script", "a.txt"), {}, "--reader script and --script FILE go together"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    flags: tuple[str, ...], environment: dict[str, str], reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason):
        settings(*flags, environment=environment)


@given(
    st.dictionaries(
        st.sampled_from(
            [*FIELD, "MQTT_BIRTH_TOPIC", "DISPLAY_CURRENCY", "DISPLAY_DECIMALS"],
        ),
        st.text(st.characters(), max_size=12) | st.sampled_from(["\udcff", "a" * 70_000, "9" * 5000]),
    )
)
def test_whatever_is_set_is_read_or_named_and_no_password_told(environment: dict[str, str]) -> None:
    secret = environment.get("MQTT_PASS", "")
    said = ""
    try:
        read = settings(environment=environment)
    except SettingsError as error:
        said = str(error)
    else:
        update_payload(read.basket_id, {})
        for topic in (*read.topics, read.birth_topic):
            assert 0 < len(topic.encode()) <= 65_535
    assert len(said) < 400
    assert len(secret) < 6 or secret not in said


@pytest.mark.parametrize(
    "flags", [("--reader", "none"), ("--cycle", "soon"), ("--hostname", "x"), ("--seed", "1" * 5000)]
)
def test_flags_that_cannot_be_read_are_one_sentence(flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        settings(*flags)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("mqtt_controller: ")
    assert len(said.splitlines()) == 1


def test_an_unknown_flag_is_refused_not_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings("--hostname", "x")
    assert "unrecognized arguments" in capsys.readouterr().err
