"""The engines of one rung in order: the one at work, and what comes after it when it fails."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter
from edge.transcode.engines.base import Engine, EngineError, RungFormat

_FAILURES = counter(
    "nearcast_transcode_engine_failures_total", "Engines that failed, at opening or later.", ["engine"]
)


class Candidate(NamedTuple):
    """An engine by name. `make` blocks while the engine opens, and raises EngineError where it does not."""

    name: str
    make: Callable[[RungFormat], Engine]


class Lineup:
    """Each candidate gets one chance. Used by one thread at a time."""

    def __init__(self, form: RungFormat, candidates: Sequence[Candidate]) -> None:
        self._form = form
        self._left = deque(candidates)
        self._name = ""
        self._engine: Engine | None = None
        self._log = get_logger("engine").bind(size=f"{form.width}x{form.height}")

    @property
    def name(self) -> str:
        """The engine at work."""
        return self._name

    def open(self) -> Engine:
        """The first engine of those left that opens. Blocks. EngineError of the last one when none does."""
        failure = EngineError("no encoder engine is left")
        while self._left:
            candidate = self._left.popleft()
            try:
                self._engine = candidate.make(self._form)
            except EngineError as error:
                self._count(candidate.name, error)
                failure = error
                continue
            self._name = candidate.name
            return self._engine
        raise failure

    def replace(self, error: EngineError) -> Engine:
        """Another engine in the place of the one that failed with `error`. EngineError when there is none."""
        self._count(self._name, error)
        self.close()
        if not self._left:
            raise error
        return self.open()

    def close(self) -> None:
        """Ends the engine at work."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _count(self, name: str, error: EngineError) -> None:
        _FAILURES.labels(name).inc()
        self._log.warning("engine_failed", engine=name, error=error.detail, left=len(self._left))
