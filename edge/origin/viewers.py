"""How many watch without saying who they are: from playlist requests, without a cookie or an identifier."""

from collections import defaultdict

_HALF_S = 5.0

Group = tuple[str, str]


class ViewerCount:
    """Viewers of one broadcast in the last 5 to 10 s.

    A browser spreads one viewer's requests over several connections, and several viewers share an address.
    So: requests are grouped by address and user agent; in a group, distinct connections that asked
    the same thing (the same segment number, or the plain playlist) are distinct viewers, and the group has as
    many viewers as its busiest question. Low-latency players are counted once a segment, by its part 1.
    """

    def __init__(self) -> None:
        self._now: dict[Group, dict[int, set[int]]] = defaultdict(dict)
        self._before: dict[Group, dict[int, set[int]]] = {}
        self._turned = 0.0

    def note(self, group: Group, port: int, question: int, now: float) -> None:
        """A playlist was asked; `question` is its _HLS_msn, or -1 without directives."""
        self._turn(now)
        self._now[group].setdefault(question, set()).add(port)

    def count(self, now: float) -> int:
        """Viewers now."""
        return sum(self.by_address(now).values())

    def by_address(self, now: float) -> dict[str, int]:
        """Viewers now, by their address."""
        self._turn(now)
        found: dict[str, int] = defaultdict(int)
        for group in self._now.keys() | self._before.keys():
            questions = dict(self._before.get(group, {}))
            for question, ports in self._now.get(group, {}).items():
                questions[question] = questions.get(question, set()) | ports
            found[group[0]] += max((len(ports) for ports in questions.values()), default=0)
        return found

    def _turn(self, now: float) -> None:
        if now - self._turned < _HALF_S:
            return
        self._before = dict(self._now) if now - self._turned < 2 * _HALF_S else {}
        self._now = defaultdict(dict)
        self._turned = now
