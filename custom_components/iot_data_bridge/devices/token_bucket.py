"""A rate with bursts."""

from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """Holds up to `burst` tokens and gains `rate` of them a second; times in seconds of any steady clock."""

    rate: float
    burst: float
    tokens: float
    updated: float

    def take(self, now: float) -> bool:
        """Take a token if there is one."""
        tokens = self.tokens + (now - self.updated) * self.rate
        self.updated = now
        tokens = min(self.burst, tokens)
        if tokens < 1.0:
            self.tokens = tokens
            return False
        self.tokens = tokens - 1.0
        return True

    def is_full(self, now: float) -> bool:
        """Tell whether the bucket holds all its tokens, so that a new one would be the same."""
        return self.tokens + (now - self.updated) * self.rate >= self.burst
