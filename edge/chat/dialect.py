"""How the entries of a room are said to its readers: once for all who speak the same dialect."""

import abc
from collections.abc import Sequence
from functools import cached_property

from edge.chat.frames import Says, entries_documents, gap_frame, packed_frames, text_frames
from edge.chat.ring import Entry


class Batch:
    """Entries that are said together; what several dialects make of them is made once. `says`: a position as
    clients are told it."""

    def __init__(self, entries: Sequence[Entry], says: Says = str) -> None:
        self.entries = entries
        self._says = says
        self.shared: dict[object, bytes] = {}  # for dialects that differ in their framing only

    @cached_property
    def documents(self) -> list[bytes]:
        """The entries as JSON documents, a run of messages as one."""
        return entries_documents(self.entries, self._says)


class Dialect(abc.ABC):
    """Readers whose dialects are equal get the same bytes. Nothing that stands in a log may make `render` raise."""

    @abc.abstractmethod
    def render(self, batch: Batch) -> bytes:
        """The entries; nothing where there is nothing to say."""

    @abc.abstractmethod
    def gap(self, after: str, before: str) -> bytes:
        """Says that what is behind position `after` and not behind `before` could not be kept."""


class Frames(Dialect):
    """WebSocket frames of JSON; `packed`: compressed where that pays."""

    def __init__(self, *, packed: bool) -> None:
        self._frames = packed_frames if packed else text_frames

    def render(self, batch: Batch) -> bytes:
        """See Dialect."""
        return self._frames(batch.documents)

    def gap(self, after: str, before: str) -> bytes:
        """See Dialect."""
        return gap_frame(after, before)


PLAIN = Frames(packed=False)
PACKED = Frames(packed=True)
