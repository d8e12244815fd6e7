"""Entries of the outbox as a gateway shows them: what is left of messages, events that are for everybody."""

from collections.abc import Callable

import msgspec

from appliance.contracts.chat import ChatMessage, Parent
from appliance.contracts.ids import unix_ms
from appliance.contracts.moderation import RoomEvent
from appliance.contracts.nonces import Nonces, id_in
from appliance.contracts.subjects import is_room_event, room_of
from appliance.runtime.bus import LogMessage
from edge.chat.happenings import frame, is_private
from edge.chat.positions import Position
from edge.chat.ring import Entry
from edge.chat.states import RoomStates


class Said(msgspec.Struct, frozen=True):
    """The part of a message that deciding needs."""

    message_id: str
    user_id: str
    timestamp: int
    message: str
    reply_to: str = ""
    parent: Parent | None = None


_raws = msgspec.json.Decoder(list[msgspec.Raw])
_events = msgspec.json.Decoder(list[RoomEvent])
_said = msgspec.json.Decoder(Said)
_message = msgspec.json.Decoder(ChatMessage)


def timestamp_of(data: bytes) -> int:
    """When a message, as JSON, was said; 0 when it is none."""
    try:
        return _said.decode(data).timestamp
    except msgspec.DecodeError:
        return 0


def entries_of(message: LogMessage) -> list[Entry]:
    """The chat messages of one log entry. msgspec.DecodeError when it is not an array."""
    found = _raws.decode(message.data)
    return [Entry(Position(message.seq, item), bytes(one)) for item, one in enumerate(found)]


def events_of(message: LogMessage) -> list[RoomEvent]:
    """The events of one log entry. msgspec.DecodeError when it is none of those."""
    return _events.decode(message.data)


class Journal:
    """Reads log entries in the light of what holds now. `heard(room_id, said)` is told of each message in a room
    whose modes look at what was said before. `nonces` learns the ids of messages and events as they come."""

    def __init__(self, states: RoomStates, heard: Callable[[str, Said], None]) -> None:
        self.states = states
        self.nonces = Nonces()
        self._heard = heard

    def read(self, message: LogMessage, *, live: bool = False) -> list[Entry]:
        """What is to be shown of an entry. ValueError, msgspec.DecodeError: it is none of ours."""
        room_id = room_of(message.subject)
        if is_room_event(message.subject):
            return [
                entry
                for item, event in enumerate(events_of(message))
                if self.nonces.is_first(event.event_id)
                for entry in self.shown(message.seq, item, event)
            ]
        entries = [entry for entry in entries_of(message) if self._is_first(entry, live=live)]
        modes = self.states.modes(room_id)
        if live and (modes.slow or modes.unique):
            for entry in entries:
                self._heard(room_id, _said.decode(entry.data))
        if self.states.hides(room_id):
            left = ((entry, self.left(room_id, entry.data)) for entry in entries)
            entries = [entry._replace(data=data) for entry, data in left if data]
        return entries

    def _is_first(self, entry: Entry, *, live: bool) -> bool:
        """Whether it is no second try of a message that stands before it in the log."""
        message_id = id_in(entry.data)
        if not message_id:
            return True
        return self.nonces.heard(message_id) if live else self.nonces.is_first(message_id)

    def takes(self, event: RoomEvent) -> bool:
        """Whether the next event of the log counts: a second try of an action does not. The same may come again."""
        if not self.nonces.is_first(event.event_id):
            return False
        self.nonces.heard(event.event_id)
        return True

    def shown(self, seq: int, item: int, event: RoomEvent) -> list[Entry]:
        """The entry of an event, if it is for everybody."""
        if is_private(event):
            return []
        return [Entry(Position(seq, item), frame(event, self.states.modes(event.room)), event=True)]

    def left(self, room_id: str, data: bytes) -> bytes:
        """What is left of a message, as JSON: nothing when it was deleted or cleared; without what it quotes when
        that was."""
        try:
            said = _said.decode(data)
            if self.states.is_hidden(room_id, said.message_id, said.user_id, said.timestamp):
                return b""
            if said.parent is None or not self._is_quote_gone(room_id, said.reply_to, said.parent):
                return data
            return msgspec.json.encode(msgspec.structs.replace(_message.decode(data), parent=msgspec.UNSET))
        except msgspec.DecodeError:
            return data

    def _is_quote_gone(self, room_id: str, message_id: str, parent: Parent) -> bool:
        try:
            return self.states.is_hidden(room_id, message_id, parent.user_id, unix_ms(message_id))
        except ValueError:
            return False
