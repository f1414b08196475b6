"""The health of a running bridge: checked, announced as a problem, and written to the health file."""

from collections.abc import Callable
from pathlib import Path

from data_bridge.dead_letters.writer import DeadLetterWriter
from data_bridge.logs import get_logger
from data_bridge.runtime.broker_watch import BrokerWatch
from data_bridge.runtime.health import write_health
from data_bridge.runtime.mqtt import BrokerLink
from data_bridge.runtime.problems import Problems, ProblemType

_LOG = get_logger("data_bridge")


class HealthWriter:
    """Writes the health file `path`; `metrics` returns the counters that it holds besides."""

    def __init__(
        self,
        path: Path,
        link: BrokerLink,
        broker_watch: BrokerWatch,
        letters: DeadLetterWriter,
        problems: Problems,
        metrics: Callable[[], dict[str, object]],
    ) -> None:
        self._path = path
        self._link = link
        self._broker_watch = broker_watch
        self._letters = letters
        self._problems = problems
        self._metrics = metrics

    def write(self) -> None:
        """Replace the file; a failure is logged only."""
        try:
            write_health(
                self._path,
                connected=self._link.connected,
                connection_error=self._broker_watch.last_error,
                store_error=self._letters.error,
                content=self._metrics(),
            )
        except OSError as error:
            _LOG.warning("health_file_not_written", path=str(self._path), error=str(error))

    async def check_store(self) -> None:
        """Check that dead letters can be stored."""
        await self._letters.check()
        if self._letters.error is None:
            self._problems.solve(ProblemType.DEAD_LETTERS_NOT_STORED)
        else:
            text = f"dead letters cannot be stored, and wait in memory: {self._letters.error}"
            self._problems.meet(ProblemType.DEAD_LETTERS_NOT_STORED, text)

    def remove(self) -> None:
        """Delete the file of a bridge that has stopped."""
        self._path.unlink(missing_ok=True)
