"""Who is in which room, for those with twitch.tv/membership: told now and then, and of small rooms only."""

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING

from edge.chat.irc.capabilities import Caps
from edge.chat.irc.dialect import Framing
from edge.chat.irc.joined import Joined
from edge.chat.irc.lines import HOST, mask
from edge.chat.irc.tags import login_of
from edge.protocols.irc.message import build

if TYPE_CHECKING:
    from edge.chat.server import ChatServer

MOST = 1000  # users of a room, and readers, beyond which nobody is told
_NAMES_OF_A_LINE = 20


@dataclasses.dataclass(slots=True)
class _Roster:
    readers: dict[Joined, None]
    told: set[str]  # logins


class Rosters:
    """JOIN and PART of others, batched. A reader whose socket is full when they are told misses them, as Twitch
    does not promise them either."""

    def __init__(self, server: "ChatServer") -> None:
        self._server = server
        self._rooms: dict[str, _Roster] = {}
        self._next_at = 0.0

    def names(self, room_id: str) -> list[str] | None:
        """Logins of those in a room; None where these are too many to be told."""
        presence = self._server.moderation.presence
        if presence.count(room_id) > MOST:
            return None
        return sorted({login_of(seat.username) for seat in presence.users(room_id)})

    def enter(self, joined: Joined, caps: Caps) -> None:
        """A reader came, or has other capabilities."""
        self.leave(joined)
        if caps & Caps.MEMBERSHIP:
            room_id = joined.place.room_id
            roster = self._rooms.get(room_id)
            if roster is None:
                roster = self._rooms[room_id] = _Roster({}, set(self.names(room_id) or ()))
            roster.readers[joined] = None

    def leave(self, joined: Joined) -> None:
        """It is gone."""
        roster = self._rooms.get(joined.place.room_id)
        if roster is None or joined not in roster.readers:
            return
        del roster.readers[joined]
        if not roster.readers:
            del self._rooms[joined.place.room_id]

    def tick(self, now: float) -> None:
        """Called once a second."""
        if now < self._next_at:
            return
        self._next_at = now + self._server.config.names_s
        for room_id, roster in list(self._rooms.items()):
            names = self.names(room_id) if len(roster.readers) <= MOST else None
            if names is not None:
                self._tell(roster, set(names))

    def _tell(self, roster: _Roster, names: set[str]) -> None:
        came, went = sorted(names - roster.told), sorted(roster.told - names)
        roster.told = names
        if not came and not went:
            return
        changed = {*came, *went}
        by_framing: dict[Framing, bytes] = {}
        for joined in list(roster.readers):
            if joined.paused:
                self._server.tally.events["roster_missed"] += 1
                continue
            framing, nick = joined.wire.framing, joined.client.session.nick
            if nick in changed:  # it knows that of itself
                joined.write(framing.frame(_changes(joined.place.channel, came, went, besides=nick)))
                continue
            if framing not in by_framing:
                by_framing[framing] = framing.frame(_changes(joined.place.channel, came, went))
            joined.write(by_framing[framing])


def _changes(channel: str, came: list[str], went: list[str], besides: str = "") -> bytes:
    lines = [build("JOIN", f"#{channel}", prefix=mask(name)) for name in came if name != besides]
    lines += [build("PART", f"#{channel}", prefix=mask(name)) for name in went if name != besides]
    return b"".join(lines)


def names_lines(nick: str, channel: str, names: Iterable[str]) -> bytes:
    """353 and 366: the client itself, and these."""
    host = f"{nick}.{HOST}"
    found = [nick, *(name for name in names if name != nick)]
    lines = b""
    for start in range(0, len(found), _NAMES_OF_A_LINE):
        part = " ".join(found[start : start + _NAMES_OF_A_LINE])
        lines += build("353", nick, "=", f"#{channel}", text=part, prefix=host)
    return lines + build("366", nick, f"#{channel}", text="End of /NAMES list", prefix=host)
