"""Which renditions are watched here, as their playlists are asked for."""

from collections.abc import Mapping

from edge.origin.viewers import Group, ViewerCount

LATELY_S = 10.0  # as long as viewers count


class RenditionDemand:
    """Of one broadcast: viewers of each rendition. `now` in monotonic seconds."""

    def __init__(self) -> None:
        self._asked: dict[str, float] = {}
        self._viewers: dict[str, ViewerCount] = {}

    def asked(self, rendition: str, now: float) -> None:
        """Its playlist was asked for."""
        self._asked[rendition] = now

    def note(self, rendition: str, group: Group, port: int, question: int, now: float) -> None:
        """A request without a session's id, by which viewers are counted as in `ViewerCount`."""
        count = self._viewers.get(rendition)
        if count is None:
            count = self._viewers[rendition] = ViewerCount()
        count.note(group, port, question, now)

    def watchers(self, now: float, sessions: Mapping[str, int]) -> dict[str, int]:
        """Viewers of each rendition that was asked for lately, one at least. `sessions` are those with an id."""
        self._asked = {name: at for name, at in self._asked.items() if now - at < LATELY_S}
        self._viewers = {name: count for name, count in self._viewers.items() if name in self._asked}
        counted = {name: count.count(now) for name, count in self._viewers.items()}
        return {name: max(1, counted.get(name, 0) + sessions.get(name, 0)) for name in self._asked}
