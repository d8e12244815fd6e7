"""One client of the rooms over IRC, whatever carries its lines."""

import asyncio
from typing import TYPE_CHECKING

from appliance.contracts.chat import CloseCode, ErrorCode
from appliance.contracts.errors import ForbiddenError, NearcastError, UnauthenticatedError
from appliance.contracts.moderation import Modes
from appliance.runtime.clock import now_ms
from edge.chat.connection import NEVER
from edge.chat.index import Place
from edge.chat.irc.answers import HELD, LOGIN_FAILED, NO_CHANNEL, done, refused
from edge.chat.irc.capabilities import Caps
from edge.chat.irc.joined import Joined
from edge.chat.irc.lines import HOST, Spot, mask, notice, room_state, user_state
from edge.chat.irc.roster import names_lines
from edge.chat.irc.session import Bounded, Event, Join, LogIn, Part, Say, Session
from edge.chat.irc.tags import user_tags
from edge.chat.irc.wire import Wire
from edge.chat.limits import Budget
from edge.chat.login import Login
from edge.chat.ranks import Author, author_of
from edge.chat.rules import Accepted
from edge.protocols.irc.message import Message, build
from edge.protocols.irc.reader import LineReader, Rejected

if TYPE_CHECKING:
    from edge.chat.server import ChatServer

_BURST_S = 4.0
_NORMAL = 1000
_POLICY = 1008


class IrcClient:
    """Owns the client's session and its places in rooms; the connection calls it and ends with it."""

    def __init__(self, server: "ChatServer", wire: Wire) -> None:
        self._server = server
        self._wire = wire
        self._reader = LineReader()
        now = server.now()
        self.session = Session(now)
        rate = server.config.frames_per_s
        self._lines = Budget(rate, rate * _BURST_S, now)
        self._rooms: dict[str, Joined] = {}
        self._awaited: dict[str, float] = {}  # channels not heard of yet, and until when they are waited for
        self._register_by = now + server.config.handshake_s
        self._login: Login[Message | Rejected] | None = None
        self._token = ""
        self._author: Author | None = None

    def now(self) -> float:
        """Monotonic seconds."""
        return self._server.now()

    # -- the connection's calls

    def receive_data(self, data: bytes) -> None:
        """What the client sent."""
        now = self.now()
        for line in self._reader.receive_data(data):
            if self._wire.ending:
                return
            if not self._lines.spend(1, now):
                self._server.tally.events["too_fast"] += 1
                self.session.end("You are too fast")
                self._flush(_POLICY, "too fast")
                return
            self._take(line, now)

    def _take(self, line: Message | Rejected, now: float) -> None:
        if self._login is not None:
            self._login.said.append(line)
            return
        for event in self.session.receive(line, now):
            self._flush()
            self._do(event)
        self._flush()

    def _flush(self, code: int = _NORMAL, reason: str = "") -> None:
        self._send(self.session.lines_to_send())
        if self.session.over:
            self._wire.finish(code, reason)

    def _send(self, lines: bytes) -> None:
        if lines and not self._wire.ending:
            self._wire.write(self._wire.framing.frame(lines))

    def pause(self) -> None:
        """The socket takes no more."""
        for joined in self._rooms.values():
            joined.pause()

    def resume(self) -> None:
        """It does again; what is written now may fill it once more."""
        for joined in self._rooms.values():
            joined.paused = False
        for joined in list(self._rooms.values()):
            joined.resume()

    def leave(self) -> None:
        """Takes part in nothing any more; may be called more than once."""
        self._awaited.clear()
        self._server.newcomers.leave(self._again)
        if self._login is not None:
            self._login.cancel()
            self._login = None
        for channel in list(self._rooms):
            self._leave(channel)

    def check(self, now: float) -> float:
        """Does what is due; when to be called next."""
        if not self.session.is_registered and now >= self._register_by:
            self._server.tally.events["handshake_timeout"] += 1
            self._wire.finish(_NORMAL, "")
            return NEVER
        if any(now >= until for until in self._awaited.values()):
            self._again()
        due = [NEVER, *self._awaited.values()]
        return min(due) if self.session.is_registered else min(self._register_by, *due)

    def reconnect(self) -> None:
        """Asks the client to go elsewhere; the connection ends behind that."""
        if self.session.caps & Caps.COMMANDS:
            self._send(build("RECONNECT", prefix=HOST))
        self._wire.finish(CloseCode.DRAINING, "")

    # -- what it wants

    def _do(self, event: Event) -> None:
        if self._wire.ending:  # whatever is written may be what a slow client is cut for
            return
        if isinstance(event, LogIn):
            self._login = Login.begin(self._server, event.token, self._settled_login)
            if self._login is None:
                self._log_in(event.token)
        elif isinstance(event, Join):
            self._join(event.channel)
        elif isinstance(event, Part):
            self._part(event.channel)
        elif isinstance(event, Say):
            self._say(event)
        elif isinstance(event, Bounded):
            self._server.tally.events[event.bound] += 1
        else:
            self._speak()

    def _speak(self) -> None:
        """Other capabilities: what happens in rooms is told in other words."""
        for joined in list(self._rooms.values()):
            joined.speak(self.session.caps)
            if self._wire.ending:
                return
            self._server.irc.rosters.enter(joined, self.session.caps)

    def _settled_login(self) -> None:
        login, self._login = self._login, None
        if login is None or self._wire.ending:
            return
        self._log_in(login.token)
        for line in login.said:
            if not self._wire.ending:
                self._take(line, self.now())

    def _log_in(self, token: str) -> None:
        author = self._identify(token)
        if author is None:
            return
        self._token, self._author = token, author
        self.session.welcome(author.username)
        self._flush()
        if self.session.caps & Caps.COMMANDS:
            tags = [*user_tags(author.user_id, author.username, []), ("emote-sets", "0")]
            spot = Spot("", "", self.session.caps)
            self._send(build("GLOBALUSERSTATE", prefix=HOST, tags=spot.tags(tags)))

    def _identify(self, token: str) -> Author | None:
        """Whose token it is; a token that is not, or no longer, valid ends the connection."""
        try:
            return author_of(self._server.index.user_of(token, now_ms()))
        except UnauthenticatedError as error:
            self._server.rules.refused(error)
            self.session.refuse(LOGIN_FAILED)
            self._flush(CloseCode.TOKEN_INVALID, error.detail)
            return None

    # -- rooms

    def _spot(self, channel: str, room_id: str = "") -> Spot:
        return Spot(channel, room_id, self.session.caps)

    def _count(self) -> None:
        self.session.rooms = len(self._rooms) + len(self._awaited)

    def _join(self, channel: str) -> None:
        if channel in self._rooms or channel in self._awaited:
            return
        place = self._server.index.by_name(channel)
        if place is not None:
            self._enter(place)
        elif self._server.newcomers.enter(self._again):
            self._awaited[channel] = self.now() + self._server.config.unknown_s
            self._wire.remind(self._awaited[channel])
        else:
            self._server.tally.events["unknown_full"] += 1
            self._send(notice(self._spot(channel), NO_CHANNEL[1], NO_CHANNEL[0]))
        self._count()

    def _again(self) -> None:
        """Looks once more for the channels that were not heard of."""
        now = self.now()
        for channel, until in list(self._awaited.items()):
            if self._wire.ending:
                return
            place = self._server.index.by_name(channel)
            if place is not None:
                del self._awaited[channel]
                self._enter(place)
            elif now >= until:
                del self._awaited[channel]
                self._send(notice(self._spot(channel), NO_CHANNEL[1], NO_CHANNEL[0]))
        if not self._awaited:
            self._server.newcomers.leave(self._again)
        self._count()

    def _enter(self, place: Place) -> None:
        author = self._author
        if author is not None and self._server.moderation.is_banned(place, author.user_id):
            self._send(self._refusal(place, ForbiddenError(code=ErrorCode.BANNED), ""))
            return
        server, caps = self._server, self.session.caps
        joined = Joined(self, self._wire, place, server.tally)
        self._rooms[place.channel] = joined
        if author is not None:
            server.moderation.enter(joined, place, author)
        nick = self.session.nick
        names = server.irc.rosters.names(place.room_id) if caps & Caps.MEMBERSHIP else None
        lines = build("JOIN", "#" + place.channel, prefix=mask(nick)) + names_lines(
            nick, place.channel, names or ()
        )
        if caps & Caps.COMMANDS:
            if author is not None:
                lines += self._user_state(place, author)
            lines += room_state(joined.spot(caps), server.rules.states.modes(place.room_id))
        self._send(lines)
        if self._wire.ending:
            return
        joined.enter(server.rooms.get(place.room_id), caps)
        server.irc.rosters.enter(joined, caps)

    def _part(self, channel: str) -> None:
        if self._awaited.pop(channel, None) is None and channel in self._rooms:
            self._leave(channel)
            self._send(build("PART", "#" + channel, prefix=mask(self.session.nick)))
        self._count()

    def _leave(self, channel: str) -> None:
        joined = self._rooms.pop(channel)
        joined.leave()
        self._server.irc.rosters.leave(joined)
        self._server.moderation.presence.leave(joined)

    def banned(self, joined: Joined) -> None:
        """The client's user may no longer be in that room."""
        channel = joined.place.channel
        if self._rooms.get(channel) is joined:
            self._send(self._refusal(joined.place, ForbiddenError(code=ErrorCode.BANNED), ""))
            self._part(channel)

    # -- speaking

    def _say(self, said: Say) -> None:
        if self._author is None:
            self._server.rules.refused(UnauthenticatedError(code=ErrorCode.NOT_AUTHENTICATED))
            self.session.refuse(LOGIN_FAILED)
            return
        author = self._identify(self._token)
        if author is None:
            return
        place = self._server.index.by_name(said.channel)
        if place is None:
            self._send(notice(self._spot(said.channel), NO_CHANNEL[1], NO_CHANNEL[0]))
            return
        try:
            accepted = self._server.rules.accept(place, author, said.text, said.reply_to, said.nonce)
        except NearcastError as error:
            self._send(self._refusal(place, error, said.text))
            return
        joined = self._rooms.get(place.channel)
        if joined is not None and not (accepted.held or accepted.notice or accepted.durable.done()):
            joined.expect(accepted.message_id, self.now())
        accepted.durable.add_done_callback(lambda ended: self._settled(said, place, author, accepted, ended))

    def _settled(
        self, said: Say, place: Place, author: Author, accepted: Accepted, ended: asyncio.Future[None]
    ) -> None:
        if ended.cancelled() or self._wire.ending:
            return
        error = ended.exception()
        spot = self._spot(place.channel, place.room_id)
        if isinstance(error, NearcastError):
            self._server.rules.refused(error)
            if place.channel in self._rooms:
                self._rooms[place.channel].forget(accepted.message_id)
            self._send(self._refusal(place, error, said.text))
        elif error is None and accepted.notice:
            self._send(done(spot, said.text.strip(), accepted.notice))
        elif error is None and accepted.held:
            self._send(notice(spot, HELD[1], HELD[0]))
        elif error is None and self.session.caps & Caps.COMMANDS:
            message_id, _ = self._server.rules.first_of(accepted)
            self._send(self._user_state(place, author, message_id=message_id, nonce=said.nonce))

    def _refusal(self, place: Place, error: NearcastError, text: str) -> bytes:
        modes: Modes = self._server.rules.states.modes(place.room_id)
        return refused(self._spot(place.channel, place.room_id), error, text.strip(), modes)

    def _user_state(self, place: Place, author: Author, *, message_id: str = "", nonce: str = "") -> bytes:
        now = now_ms()
        standing = self._server.rules.states.standing(place.room_id, author.user_id, now)
        badges = author.badges_in(place, standing, now)
        spot = self._spot(place.channel, place.room_id)
        return user_state(spot, author.user_id, author.username, badges, message_id=message_id, nonce=nonce)
