"""Latency buckets."""

from hypothesis import given
from hypothesis import strategies as st

from data_bridge.pipeline.histogram import LatencyHistogram, bucket_of, upper_edge


@given(st.integers(0, 2**62))
def test_a_bucket_holds_its_durations_within_an_eighth(nanoseconds: int) -> None:
    edge = upper_edge(bucket_of(nanoseconds))
    assert nanoseconds <= edge <= nanoseconds * 1.125 + 1


def test_quantiles() -> None:
    histogram = LatencyHistogram()
    assert histogram.quantile(0.5) is None
    for milliseconds in range(1, 101):
        histogram.record(milliseconds * 1_000_000)
    p50, p99 = histogram.quantile(0.5), histogram.quantile(0.99)
    assert p50 is not None
    assert p99 is not None
    assert 50 <= p50 <= 57
    assert 99 <= p99 <= 112
    histogram.reset()
    assert histogram.quantile(0.5) is None
