"""Entries of a room as its IRC readers get them: lines, on a WebSocket in frames."""

import enum

import msgspec

from appliance.contracts.chat import ChatMessage
from appliance.contracts.nonces import id_tail
from edge.chat.dialect import Batch, Dialect
from edge.chat.frames import packed_frames, text_frames
from edge.chat.irc.lines import Happened, Spot, event_lines, message_line, notice
from edge.chat.metrics import Tally
from edge.chat.ring import Entry

_message = msgspec.json.Decoder(ChatMessage)
_happened = msgspec.json.Decoder(Happened)


class Framing(enum.Enum):
    """How lines travel."""

    NONE = 0
    FRAMES = 1  # of a WebSocket
    PACKED = 2  # compressed ones

    def frame(self, lines: bytes) -> bytes:
        """Lines as they are written; of none nothing."""
        if self is Framing.NONE or not lines:
            return lines
        return packed_frames([lines]) if self is Framing.PACKED else text_frames([lines])


class IrcDialect(Dialect):
    """Lines about `spot` in a `framing`; equal to those with both the same."""

    __slots__ = ("_key", "_tally", "framing", "spot")

    def __init__(self, spot: Spot, framing: Framing, tally: Tally) -> None:
        self.spot = spot
        self.framing = framing
        self._tally = tally
        self._key = (spot.channel, spot.room_id, spot.caps, framing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IrcDialect) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def render(self, batch: Batch) -> bytes:
        """See Dialect."""
        lines = batch.shared.get(self.spot)
        if lines is None:
            lines = batch.shared[self.spot] = self.lines(batch)
        return self.framing.frame(lines)

    def lines(self, batch: Batch) -> bytes:
        """The lines themselves. What stands in the log and is none of ours is left out, and counted."""
        return b"".join(self._line(entry) for entry in batch.entries)

    def gap(self, after: str, before: str) -> bytes:  # noqa: ARG002 - lines have no positions
        """See Dialect."""
        text = "Messages were left out: this connection is too slow for all of them."
        return self.framing.frame(notice(self.spot, text))

    def _line(self, entry: Entry) -> bytes:
        try:
            if entry.event:
                return event_lines(self.spot, _happened.decode(entry.data))
            return message_line(self.spot, _message.decode(entry.data))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            self._tally.events["bad_entry"] += 1
            return b""


def is_message(entry: Entry, tails: dict[str, float]) -> str:
    """Which of the messages an entry is, all by the tails of their ids; empty when it is none of them."""
    if entry.event:
        return ""
    for tail in tails:
        if tail.encode() in entry.data:
            try:
                if id_tail(_message.decode(entry.data).message_id) == tail:
                    return tail
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                return ""
    return ""
