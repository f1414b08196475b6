"""The errors of messages and stored states that cannot be read."""


class DamagedStateError(ValueError):
    """A device cannot be restored from its stored state."""


class MalformedMessageError(ValueError):
    """A message that breaks its format.

    Attributes:
        reason: a short stable word for counters, for example `not_json`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
