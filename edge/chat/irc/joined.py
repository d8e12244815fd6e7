"""A client's place in one room."""

from typing import TYPE_CHECKING

from appliance.contracts.nonces import id_tail
from edge.chat.audience import Reader
from edge.chat.dialect import Batch
from edge.chat.index import Place
from edge.chat.irc.capabilities import Caps
from edge.chat.irc.dialect import IrcDialect, is_message
from edge.chat.irc.lines import Spot
from edge.chat.irc.wire import Wire
from edge.chat.metrics import Tally
from edge.chat.room import Room

if TYPE_CHECKING:
    from edge.chat.irc.client import IrcClient

_OWN_S = 30.0  # a message of its own that has not come by then was taken away


class Joined(Reader):
    """Reads a room for a client. What the client said here itself is not told to it, so while such a message is on
    its way it stands apart from the others."""

    __slots__ = ("_own", "_room", "_tally", "client", "place", "wire")

    def __init__(self, client: "IrcClient", wire: Wire, place: Place, tally: Tally) -> None:
        super().__init__()
        self.client = client
        self.place = place
        self.wire = wire
        self.paused = wire.paused
        self.fd = wire.fd
        self._tally = tally
        self._room: Room | None = None
        self._own: dict[str, float] = {}

    def spot(self, caps: Caps) -> Spot:
        """The room, for lines of one's own."""
        return Spot(self.place.channel, self.place.room_id, caps)

    def enter(self, room: Room, caps: Caps) -> None:
        """From here on it reads."""
        self.dialect = self._dialect(caps)
        self._room = room
        room.join(self, room.level(self), exact=False)

    def speak(self, caps: Caps) -> None:
        """The client has other capabilities."""
        if self._room is not None:
            self._room.speak(self, self._dialect(caps))

    def _dialect(self, caps: Caps) -> IrcDialect:
        return IrcDialect(self.spot(caps & ~Caps.MEMBERSHIP), self.wire.framing, self._tally)

    def leave(self) -> None:
        """It reads no more; may be called more than once."""
        room, self._room = self._room, None
        if room is not None:
            room.leave(self)

    # -- reading

    def write(self, data: bytes | memoryview) -> None:
        """See Reader."""
        self.wire.write(data)

    def spill(self, data: bytes | memoryview) -> None:
        """See Reader."""
        self.wire.spill(data)

    def pause(self) -> None:
        """The socket takes no more."""
        self.paused = True
        if self._room is not None:
            self._room.lag(self)

    def resume(self) -> None:
        """It does again."""
        if self._room is not None:
            self._room.go_on(self)

    def expect(self, message_id: str, now: float) -> None:
        """The client has said this, whatever try of it is shown: it is not told so again."""
        if self._room is not None:
            self._own[id_tail(message_id)] = now + _OWN_S
            self._room.set_apart(self)

    def forget(self, message_id: str) -> None:
        """That was refused."""
        self._own.pop(id_tail(message_id), None)

    def render(self, batch: Batch) -> bytes:
        """See Reader."""
        kept = []
        for entry in batch.entries:
            own = is_message(entry, self._own)
            if own:
                del self._own[own]
            else:
                kept.append(entry)
        now = self.client.now()
        self._own = {tail: until for tail, until in self._own.items() if until > now}
        self.apart = bool(self._own)
        return self.dialect.render(Batch(kept))

    # -- as moderation sees it

    def tell(self, document: bytes) -> None:
        """IRC has no lines for what only moderators are told."""

    def shut_out(self) -> None:
        """The user is banned here."""
        self.client.banned(self)
