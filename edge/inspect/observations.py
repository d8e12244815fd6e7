"""What was observed: exchanges with the server, and what was noted of them."""

import dataclasses
from collections.abc import Callable, Mapping

from edge.inspect.catalogue import CATALOGUE, Level, Requirement

EVIDENCE = 3  # kept of the first occurrences of each requirement
_VALUE = 240

Note = Callable[[str, int, str], None]
"""Notes a violated requirement: its name, the line of the playlist (0: none), what was seen."""


@dataclasses.dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer. Times are seconds of one monotonic clock; `status` is 0 without an answer.

    `body` is decoded; `encoding` says how it came. `truncated` when a bound cut it off.
    """

    url: str
    method: str = "GET"
    sent: Mapping[str, str] = dataclasses.field(default_factory=dict)
    status: int = 0
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b""
    began: float = 0.0
    first: float = 0.0  # the head of the answer was there
    ended: float = 0.0
    encoding: str = ""
    error: str = ""
    redirected: bool = False
    truncated: bool = False
    reused: bool = False
    connect_s: float = 0.0  # of the connection that carried it; 0 when it was open before
    wait_s: float = 0.0  # longest silence within the body

    @property
    def ok(self) -> bool:
        """Whether the body is what was asked for."""
        return self.status in (200, 206) and not self.truncated and not self.error

    @property
    def took(self) -> float:
        """Seconds from the request to the end of the answer."""
        return self.ended - self.began

    def header(self, name: str) -> str:
        """A field of the answer, empty when absent."""
        return self.headers.get(name, "")

    @property
    def outcome(self) -> str:
        """Status or failure in a few words."""
        return self.error if self.error else f"{self.status} after {self.took:.2f} s"


@dataclasses.dataclass(frozen=True, slots=True)
class Evidence:
    """One occurrence. `at` is seconds since the watch began."""

    url: str
    line: int
    value: str
    at: float


@dataclasses.dataclass(slots=True)
class Violation:
    """A requirement that was violated: how often, when first and last, and its first occurrences."""

    requirement: Requirement
    count: int = 0
    first: float = 0.0
    last: float = 0.0
    evidence: list[Evidence] = dataclasses.field(default_factory=list)


class Findings:
    """Everything that was found, by name. `began` is the clock's value when the watch began."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._found: dict[str, Violation] = {}

    def note(self, name: str, url: str, line: int, value: str, at: float) -> None:
        """Counts a violation. KeyError for a name that is not in the catalogue: a mistake of ours."""
        violation = self._found.get(name)
        since = max(0.0, at - self._began)
        if violation is None:
            violation = self._found[name] = Violation(CATALOGUE[name], first=since)
        violation.count += 1
        violation.last = since
        if len(violation.evidence) < EVIDENCE:
            violation.evidence.append(Evidence(url, line, value[:_VALUE], since))

    def at(self, exchange: Exchange) -> Note:
        """A `Note` for what one exchange shows."""
        return lambda name, line, value: self.note(name, exchange.url, line, value, exchange.ended)

    def of(self, level: Level) -> list[Violation]:
        """Those of a level, in the catalogue's order."""
        return [self._found[name] for name in CATALOGUE if name in self._found and CATALOGUE[name].level is level]

    @property
    def names(self) -> set[str]:
        """The names of all that was violated."""
        return set(self._found)
