"""Baskets without hardware: scripts, the random shopper and the keyboard."""

import io
import itertools
import os
import pty
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mqtt_controller.presence import product_code
from mqtt_controller.readers.interactive import InteractiveReader
from mqtt_controller.readers.simulated import (
    Change,
    RandomShopper,
    ScriptedReader,
    ScriptError,
    ScriptStep,
    SimulatedBasket,
    SimulatedReader,
    parse_change,
    parse_script,
    read_script,
)


def seen(reader: SimulatedReader) -> list[str]:
    return sorted(str(product_code(sighting.epc)) for sighting in reader.cycle())


def test_every_product_has_a_tag_of_its_own() -> None:
    basket = SimulatedBasket()
    basket.add("MLON", 3)
    assert len(set(basket.tags())) == 3
    assert all(len(tag) == 12 for tag in basket.tags())


def test_removing_takes_as_many_as_there_are() -> None:
    basket = SimulatedBasket()
    basket.add("MLON", 3)
    basket.add("WTMN")
    assert basket.remove("MLON", 2) == 2
    assert basket.remove("MLON", 2) == 1
    assert basket.remove("MLON") == 0
    assert basket.codes() == ("WTMN",)


def test_a_script_is_read_with_comments_and_in_the_order_of_time() -> None:
    text = "# shopping\n2 add WTMN 2\n\n0.5 add MLON  # first\n9 clear\n5 remove MLON\n"
    assert parse_script(text) == (
        ScriptStep(0.5, Change("add", "MLON")),
        ScriptStep(2.0, Change("add", "WTMN", 2)),
        ScriptStep(5.0, Change("remove", "MLON")),
        ScriptStep(9.0, Change("clear")),
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("now add MLON", "line 1: 'now' is not a time"),
        ("\n-1 clear", "line 2: '-1' is not a time"),
        ("nan clear", "line 1: 'nan' is not a time"),
        ("1 add MELON", "line 1: 'MELON' is not a product code of up to 4 ASCII characters"),
        ("1 add 멜론", "line 1: '멜론' is not a product code"),
        ("1 add MLON 0", "line 1: '0' is not a count from 1 to 1000"),
        ("1 add MLON two", "line 1: 'two' is not a count"),
        ("1 add MLON 1 2", "line 1: cannot read 'add MLON 1 2'; expected"),
        ("1", "line 1: cannot read ''"),
    ],
)
def test_a_wrong_script_is_refused_with_line_and_reason(text: str, reason: str) -> None:
    with pytest.raises(ScriptError, match="^" + reason.replace("(", r"\(")):
        parse_script(text)


def test_an_unreadable_script_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="no-such-script"):
        read_script(tmp_path / "no-such-script")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ScriptError, match=r"binary: .*utf-8"):
        read_script(tmp_path / "binary")


def test_a_script_plays_from_the_beginning_in_every_session() -> None:
    now = 100.0
    reader = ScriptedReader(parse_script("0 add MLON\n2 add WTMN 2\n5 remove MLON\n6 clear"), 0.0, clock=lambda: now)
    for _ in range(2):
        reader.start()
        start = now
        contents = []
        for elapsed in (0, 1.9, 2, 5, 6):
            now = start + elapsed
            contents.append(seen(reader))
        assert contents == [["MLON"], ["MLON"], ["MLON", "WTMN", "WTMN"], ["WTMN", "WTMN"], []]
        reader.stop()


def shopping(seed: int | None, cycles: int = 400) -> list[list[str]]:
    shopper = RandomShopper(("MLON", "WTMN", "MILK"), 0.001, mean_seconds=0.002, seed=seed)
    shopper.start()
    shopper._stopped.set()  # no waiting
    return [seen(shopper) for _ in range(cycles)]


def test_a_seed_makes_the_shopper_repeatable() -> None:
    assert shopping(1) == shopping(1)
    assert shopping(1) != shopping(2)


def test_the_shopper_puts_in_and_takes_out_and_never_overfills() -> None:
    contents = shopping(1)
    steps = {len(after) - len(before) for before, after in itertools.pairwise(contents)}
    assert steps == {-1, 0, 1}
    assert max(len(content) for content in contents) <= RandomShopper.MOST_ITEMS
    assert {code for content in contents for code in content} == {"MLON", "WTMN", "MILK"}


@pytest.fixture
def keyboard() -> Iterator[tuple[InteractiveReader, threading.Event]]:
    quitting = threading.Event()
    reader = InteractiveReader(("MLON", "WTMN"), 0.0, quitting.set, io.StringIO())
    reader.start()
    yield reader, quitting
    reader.close()


def test_keys_add_and_remove_products(keyboard: tuple[InteractiveReader, threading.Event]) -> None:
    reader, quitting = keyboard
    for key in "aabz!\nA":
        reader.press(key)
    assert seen(reader) == ["MLON", "WTMN"]
    reader.press("A")
    reader.press("A")
    assert seen(reader) == ["WTMN"]
    reader.press("0")
    assert seen(reader) == []
    assert not quitting.is_set()


def test_q_quits(keyboard: tuple[InteractiveReader, threading.Event]) -> None:
    reader, quitting = keyboard
    reader.press("q")
    assert quitting.is_set()


def test_the_help_names_every_product(
    keyboard: tuple[InteractiveReader, threading.Event], capsys: pytest.CaptureFixture[str]
) -> None:
    reader, _ = keyboard
    reader.press("?")
    said = capsys.readouterr().err
    assert "a/A MLON  b/B WTMN" in said


def test_a_key_in_a_terminal_acts_without_enter_and_the_terminal_is_given_back() -> None:
    host, device = pty.openpty()
    before = termios.tcgetattr(device)
    quitting = threading.Event()
    with open(device, encoding="utf-8", closefd=False) as stream:
        reader = InteractiveReader(("MLON", "WTMN"), 0.0, quitting.set, stream)
        os.write(host, b"abbq")
        assert quitting.wait(5)
        assert seen(reader) == ["MLON", "WTMN", "WTMN"]
        reader.close()
        assert termios.tcgetattr(device) == before
        os.close(host)  # ends the thread that reads the keys
    os.close(device)


@pytest.mark.parametrize("words", [["clear"], ["add", "MLON"], ["remove", "WTMN", "3"]])
def test_a_change_is_one_line(words: list[str]) -> None:
    basket = SimulatedBasket()
    basket.add("WTMN", 3)
    parse_change(words).apply(basket)
    assert basket.codes() == {"clear": (), "add": ("WTMN",) * 3 + ("MLON",), "remove": ()}[words[0]]
