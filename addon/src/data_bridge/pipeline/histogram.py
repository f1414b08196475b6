"""Latencies as counts in buckets of at most 12.5 % width: fixed memory, one increment for each message."""

# Eight buckets for each power of two of nanoseconds; the last of 64 powers is 585 years.
SUB_BITS = 3
_SIZE = 64 << SUB_BITS


def bucket_of(nanoseconds: int) -> int:
    """Return the index of the bucket that counts a duration."""
    bits = nanoseconds.bit_length()
    if bits <= SUB_BITS + 1:
        return max(nanoseconds, 0)
    return (bits << SUB_BITS) | ((nanoseconds >> (bits - SUB_BITS - 1)) & ((1 << SUB_BITS) - 1))


def upper_edge(bucket: int) -> int:
    """Return the largest duration in nanoseconds that a bucket counts."""
    bits, part = bucket >> SUB_BITS, bucket & ((1 << SUB_BITS) - 1)
    if bits <= SUB_BITS + 1:
        return bucket
    return ((((1 << SUB_BITS) | part) + 1) << (bits - SUB_BITS - 1)) - 1


class LatencyHistogram:
    """Counts of durations since the last `take`."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        # Public for the hot path, which increments without a call.
        self.counts = [0] * _SIZE

    def record(self, nanoseconds: int) -> None:
        """Count one duration."""
        self.counts[bucket_of(nanoseconds)] += 1

    def quantile(self, share: float) -> float | None:
        """Return the milliseconds that `share` (0..1) of the durations did not exceed, None when there were none."""
        total = sum(self.counts)
        if not total:
            return None
        wanted = share * total
        seen = 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if count and seen >= wanted:
                return upper_edge(bucket) / 1e6
        return None

    def reset(self) -> None:
        """Forget everything."""
        self.counts[:] = [0] * _SIZE
