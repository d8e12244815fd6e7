"""Who watches, as one process sees it: sessions by their ids, and everybody else by their requests.

A viewer is a session that reported in the last 25 s and did not say good-bye, or whose id came with a request
in the last 15 s; both under the same id are one. Requests without an id are counted as `ViewerCount` does, less
the sessions of the same address that report but send no id with their requests. Ids and addresses are hashed
as they come; nothing of a session is kept beyond its window.
"""

from dataclasses import dataclass, field

from appliance.contracts.audience import ANONYMOUS, ASKS, LEFT, TELLS, BroadcastAudience, pack_sessions
from edge.access.hashes import Hashes
from edge.origin.metrics import Tally
from edge.origin.viewers import Group, ViewerCount

TELLS_S = 25.0
ASKS_S = 15.0
REQUESTS_S = 10.0  # as long as `ViewerCount` remembers a request
MOST_SESSIONS = 50_000  # of a process: beyond them a session is not counted, and that is
_NEVER = float("-inf")


@dataclass(slots=True)
class _Session:
    place: int
    anonymous: bool = False
    told_at: float = _NEVER
    asked_at: float = _NEVER
    left_at: float = _NEVER
    rendition: str = ""  # whose playlist it asked for last

    def marks(self, now: float) -> int:
        marks = 0
        if now - self.told_at < TELLS_S:
            marks = TELLS
        if now - self.asked_at < ASKS_S:
            marks |= ASKS
        if now - self.left_at < ASKS_S:
            marks |= LEFT
        if self.anonymous and marks and not 0 <= now - self.left_at - REQUESTS_S < ASKS_S:
            marks |= ANONYMOUS
        return marks


@dataclass(slots=True)
class _Broadcast:
    sessions: dict[int, _Session] = field(default_factory=dict)
    requests: ViewerCount = field(default_factory=ViewerCount)


class Audience:
    """Of one process. Times in monotonic seconds."""

    def __init__(self, hashes: Hashes, tally: Tally, most: int = MOST_SESSIONS) -> None:
        self.hashes = hashes  # replaced once the site's key is known
        self._tally = tally
        self._most = most
        self._broadcasts: dict[str, _Broadcast] = {}
        self._sessions = 0

    def asked(self, broadcast_id: str, rendition: str, session: str, address: str, now: float) -> None:
        """A playlist was asked for by a session that says its id."""
        found = self._session(broadcast_id, self.hashes.session(session), address)
        if found is not None:
            found.asked_at, found.rendition, found.left_at = now, rendition, _NEVER

    def asked_by_nobody(self, broadcast_id: str, group: Group, port: int, question: int, now: float) -> None:
        """A playlist was asked for without an id; see `ViewerCount.note`."""
        self._broadcast(broadcast_id).requests.note(group, port, question, now)

    def told(self, broadcast_id: str, session: int, address: str, now: float, *, fetches: bool) -> None:
        """A player reported. `session` is its hash; `fetches`: it plays from playlists now."""
        found = self._session(broadcast_id, session, address)
        if found is not None:
            found.told_at, found.left_at, found.anonymous = now, _NEVER, fetches

    def left(self, broadcast_id: str, session: int, now: float) -> None:
        """A player said good-bye."""
        broadcast = self._broadcasts.get(broadcast_id)
        found = broadcast.sessions.get(session) if broadcast is not None else None
        if found is not None:
            found.left_at, found.told_at, found.asked_at = now, _NEVER, _NEVER

    def seen(self, now: float) -> dict[str, BroadcastAudience]:
        """Everybody, by broadcast, as the other processes are told; forgets who was not seen for too long."""
        self._forget(now)
        return {broadcast_id: self.seen_of(broadcast_id, now) for broadcast_id in self._broadcasts}

    def seen_of(self, broadcast_id: str, now: float) -> BroadcastAudience:
        """Everybody who watches one broadcast."""
        broadcast = self._broadcasts.get(broadcast_id)
        if broadcast is None:
            return BroadcastAudience()
        sessions = ((name, one.place, one.marks(now)) for name, one in broadcast.sessions.items())
        anonymous: dict[int, int] = {}
        for address, count in broadcast.requests.by_address(now).items():
            place = self.hashes.place(address)
            anonymous[place] = anonymous.get(place, 0) + count
        return BroadcastAudience(pack_sessions(sessions), anonymous)

    def by_rendition(self, broadcast_id: str, taken: frozenset[int], now: float) -> dict[str, int]:
        """Sessions that ask for playlists with their ids, by rendition; without those in `taken`."""
        found: dict[str, int] = {}
        broadcast = self._broadcasts.get(broadcast_id)
        for name, session in broadcast.sessions.items() if broadcast is not None else ():
            if now - session.asked_at < ASKS_S and name not in taken:
                found[session.rendition] = found.get(session.rendition, 0) + 1
        return found

    def size(self, broadcast_id: str) -> int:
        """How much there is to count, roughly."""
        broadcast = self._broadcasts.get(broadcast_id)
        return len(broadcast.sessions) if broadcast is not None else 0

    def _broadcast(self, broadcast_id: str) -> _Broadcast:
        found = self._broadcasts.get(broadcast_id)
        if found is None:
            found = self._broadcasts[broadcast_id] = _Broadcast()
        return found

    def _session(self, broadcast_id: str, session: int, address: str) -> _Session | None:
        sessions = self._broadcast(broadcast_id).sessions
        found = sessions.get(session)
        if found is None:
            if self._sessions >= self._most:
                self._tally.event("over_sessions")
                return None
            found = sessions[session] = _Session(self.hashes.place(address))
            self._sessions += 1
        return found

    def _forget(self, now: float) -> None:
        self._sessions = 0
        for broadcast_id, broadcast in list(self._broadcasts.items()):
            for name in [name for name, one in broadcast.sessions.items() if not one.marks(now)]:
                del broadcast.sessions[name]
            self._sessions += len(broadcast.sessions)
            if not broadcast.sessions and not broadcast.requests.count(now):
                del self._broadcasts[broadcast_id]
