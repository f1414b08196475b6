"""Text of others is shown, and nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.iot_data_bridge.markdown import LONGEST, bounded, escaped


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Edge 1", "Edge 1"),
        ("공장 A-1", r"공장 A\-1"),
        ("[free](http://evil.example)", r"\[free\]\(http\:\/\/evil\.example\)"),
        ("![](http://evil.example/x.png)", r"\!\[\]\(http\:\/\/evil\.example\/x\.png\)"),
        ("<img src=x>", r"\<img src\=x\>"),
        ("one\n# two", r"one \# two"),
        ("a\u202eb", "a b"),
    ],
)
def test_markdown_becomes_plain_characters(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_a_long_text_is_cut_where_it_is_seen() -> None:
    assert bounded("x" * 60_000) == "x" * (LONGEST - 1) + "…"


@given(st.text(max_size=300))
def test_no_text_is_longer_than_allowed_or_keeps_a_plain_punctuation_mark(text: str) -> None:
    assert len(bounded(text, 20)) <= 20
    assert re.search(r"(?<!\\)[!-/:-@\[\]-`{-~]", escaped(text).replace(r"\\", "")) is None
