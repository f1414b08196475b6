"""A trace id that comes again: with the same bytes a duplicate, with others a source that uses it for many messages."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_bridge.damaged_files import DamagedFiles
from data_bridge.pipeline.deduplication.trace_files import GenerationFiles
from data_bridge.pipeline.deduplication.traces import Deduplication
from data_bridge.reasons import Reason
from data_bridge.settings import DeduplicationSettings
from tests.data_bridge.carried import Carried
from tests.data_bridge.connections import not_damaged

MAPPINGS = """mappings:
  - {equip_tag: t, message_id: m, object: Value, value_type: integer}
  - {equip_tag: t, message_id: n, object: Other, value_type: integer}
"""
DEVICES = "objects: {Value: [D], Other: [D]}\n"


def envelope(trace: str, value: int, message_id: str = "m") -> bytes:
    return b'{"header":{"UUID":"%b"},"payload":{"Equip.Tag":"t","Message.ID":"%b","VALUE":%d}}' % (
        trace.encode(),
        message_id.encode(),
        value,
    )


def take(carried: Carried, *payloads: bytes) -> None:
    for payload in payloads:
        carried.connection.deliver("iot/ingress", payload)


@pytest.mark.parametrize("confirmed", [True, False])
async def test_the_same_bytes_are_a_duplicate_and_no_reuse(tmp_path: Path, confirmed: bool) -> None:
    carried = Carried(tmp_path, MAPPINGS, DEVICES)
    take(carried, envelope("u1", 1))
    if confirmed:
        carried.forget()
    take(carried, envelope("u1", 1))
    assert carried.reasons == {"duplicate": 1}
    assert carried.reused == []
    assert carried.said == [
        ("duplicate", "the trace id 'u1' was delivered or is on its way; iot/ingress brought it again")
    ]


@pytest.mark.parametrize("confirmed", [True, False])
async def test_other_bytes_are_a_reuse_of_the_trace_id(tmp_path: Path, confirmed: bool) -> None:
    carried = Carried(tmp_path, MAPPINGS, DEVICES)
    take(carried, envelope("u1", 1))
    if confirmed:
        carried.forget()
    take(carried, envelope("u1", 2), envelope("u1", 2), envelope("u2", 2))
    assert carried.reasons == {"duplicate": 2}
    assert carried.reused == [("u1", "iot/ingress")] * 2
    assert carried.pipeline.input.reused_traces == 2


async def test_a_reuse_is_known_across_a_turn(tmp_path: Path) -> None:
    carried = Carried(tmp_path, MAPPINGS, DEVICES)
    take(carried, envelope("u1", 1))
    carried.forget()
    await carried.pipeline.deduplication.rotate()
    take(carried, envelope("u1", 2))
    assert carried.reused == [("u1", "iot/ingress")]


async def test_of_what_an_earlier_process_delivered_the_bytes_are_unknown(tmp_path: Path) -> None:
    seen = Deduplication(100, 600, GenerationFiles(tmp_path / "seen", 600))
    seen.open()
    seen.current["u1"] = 5
    seen.unwritten.append("u1")
    seen.close()
    carried = Carried(tmp_path, MAPPINGS, DEVICES, DeduplicationSettings())
    carried.pipeline.open(DamagedFiles(not_damaged))
    take(carried, envelope("u1", 1))
    assert carried.reasons == {"duplicate": 1}
    assert carried.reused == []
    carried.pipeline.transport.close()


async def test_with_keys_other_keys_are_no_reuse_and_other_bytes_of_one_are(tmp_path: Path) -> None:
    settings = DeduplicationSettings(identity="trace_and_key", persist=False)
    carried = Carried(tmp_path, MAPPINGS, DEVICES, settings)
    take(carried, envelope("u1", 1), envelope("u1", 1, "n"))
    carried.forget()
    take(carried, envelope("u1", 2, "n"))
    assert carried.reasons == {"duplicate": 1}
    assert carried.reused == [("u1", "iot/ingress")]


async def test_without_de_duplication_nothing_is_a_reuse(tmp_path: Path) -> None:
    carried = Carried(tmp_path, MAPPINGS, DEVICES, DeduplicationSettings(enabled=False, persist=False))
    take(carried, envelope("u1", 1), envelope("u1", 2))
    assert len(carried.payloads) == 2
    carried.forget()
    take(carried, envelope("u1", 1))
    assert len(carried.payloads) == 1
    assert (carried.reasons, carried.reused) == ({}, [])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), max_size=30))
def test_each_later_message_of_a_trace_is_judged_by_the_first(history: list[tuple[str, int]]) -> None:
    async def live() -> None:
        with tempfile.TemporaryDirectory() as folder:
            carried = Carried(Path(folder), MAPPINGS, DEVICES)
            first: dict[str, int] = {}
            reused = 0
            for trace, value in history:
                take(carried, envelope(trace, value))
                carried.forget()
                reused += first.setdefault(trace, value) != value
            assert carried.pipeline.input.reused_traces == reused
            assert carried.pipeline.skipped().get(Reason.DUPLICATE, 0) == len(history) - len(first)

    asyncio.run(live())
