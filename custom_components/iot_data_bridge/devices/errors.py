"""The error of messages that cannot be read."""


class MalformedMessageError(ValueError):
    """A message that breaks its format.

    Attributes:
        reason: a short stable word for counters, for example `not_json`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
