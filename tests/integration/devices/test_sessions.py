"""Sessions that ended, and their table."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.devices.instant import Instant
from custom_components.iot_data_bridge.devices.money import Currency
from custom_components.iot_data_bridge.devices.sessions import (
    COLUMNS,
    HEARD_WITHIN,
    TIMES,
    Outcome,
    SentEnd,
    SessionLine,
    SessionRecord,
    csv_header,
    csv_lines,
)

NOON = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
NOW = Instant(timedelta(hours=1), NOON)
SEOUL = ZoneInfo("Asia/Seoul")


def session(**changes: object) -> SessionRecord:
    values: dict[str, object] = {
        "basket": "basket/1",
        "started": NOON,
        "ended": NOON + timedelta(minutes=5),
        "outcome": Outcome.PAID,
        "currency": Currency("KRW"),
        "total": Decimal(39600),
        "lines": (
            SessionLine("MLON", "Melon", 2, Decimal(10800)),
            SessionLine("WTMN", "WTMN", 1, Decimal(18000)),
            SessionLine("XXXX", "XXXX", 1, None),
        ),
    }
    return SessionRecord(**{**values, **changes})  # type: ignore[arg-type] # as the fields are


def rows(*sessions: SessionRecord) -> list[dict[str, str]]:
    text = csv_header() + csv_lines(enumerate(sessions, start=7), SEOUL)
    return list(csv.DictReader(io.StringIO(text)))


def test_a_session_is_a_line_of_the_table() -> None:
    assert rows(session()) == [
        {
            "session": "7",
            "basket": "basket/1",
            "from": "2026-11-20 12:00:00",
            "to": "2026-11-20 12:05:00",
            "utc_offset": "+09:00",
            "outcome": "paid",
            "currency": "KRW",
            "total": "39600",
            "items": "4",
            "lines": f"MLON Melon {TIMES} 2 = 21600; WTMN {TIMES} 1 = 18000; XXXX {TIMES} 1",
        }
    ]


def test_amounts_have_the_decimals_of_their_currency() -> None:
    [row] = rows(session(currency=Currency("EUR"), total=Decimal("4.5"), lines=()))
    assert (row["total"], row["items"], row["lines"]) == ("4.50", "0", "")


def test_a_session_without_a_total_has_none() -> None:
    assert rows(session(total=None))[0]["total"] == ""


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_text_of_others_becomes_a_formula(text: str) -> None:
    [row] = rows(session(basket=text, lines=(SessionLine(text, text, 1, None),)))
    assert row["basket"] == f"'{text}"
    assert row["lines"].startswith(f"'{text}")


@given(st.lists(st.text(), min_size=1, max_size=3))
def test_every_text_stays_in_its_cell(texts: list[str]) -> None:
    lines = tuple(SessionLine(text, text, 1, None) for text in texts)
    [row] = rows(session(basket=texts[0], lines=lines))
    assert tuple(row) == COLUMNS
    assert row["basket"].removeprefix("'") == texts[0].removeprefix("'")


def test_our_own_end_is_told_from_that_of_another_server() -> None:
    sent = SentEnd()
    assert sent.take(NOW) is Outcome.UNKNOWN
    sent.note(Outcome.CANCELLED, NOW)
    assert sent.take(NOW + HEARD_WITHIN) is Outcome.CANCELLED
    # Each of ours comes back once.
    assert sent.take(NOW + HEARD_WITHIN) is Outcome.UNKNOWN


def test_an_end_that_was_lost_is_not_that_of_another_server_later() -> None:
    sent = SentEnd()
    sent.note(Outcome.PAID, NOW)
    assert sent.take(NOW + HEARD_WITHIN + timedelta(seconds=1)) is Outcome.UNKNOWN


def test_an_end_that_could_not_be_sent_is_not_expected() -> None:
    sent = SentEnd()
    sent.note(Outcome.CANCELLED, NOW)
    sent.withdraw()
    assert sent.take(NOW) is Outcome.UNKNOWN
