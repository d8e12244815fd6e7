"""What the history of chat is kept in: one port, with adapters in `postgresql` and `cassandra`.

Everything here may be repeated and come in any order without another result: a message is stored once by its id,
and a removal holds for the messages it names whether they came before it or come after it. Every method
raises UnavailableError while the store is away, and BadInputError for what it can never keep.
"""

from collections.abc import Sequence
from typing import Protocol

from coordinator.chat_history.models import MessageRow, Page, Removal


class ChatStore(Protocol):
    """The history of all rooms. What has returned is durable."""

    @property
    def name(self) -> str:
        """As in the setting `coordinator.chat_store`."""

    async def open(self) -> None:
        """Returns without waiting for a store that is away: it is sought in the background until it is there."""

    async def close(self) -> None: ...

    async def add(self, rows: Sequence[MessageRow]) -> None:
        """Stores messages, each once by its id."""

    async def remove(self, removals: Sequence[Removal]) -> None:
        """Hides messages from every page; they stay stored as evidence."""

    async def before(self, channel_id: str, stream_id: str, before: str, limit: int) -> Page:
        """The newest `limit` messages of a stream older than the id `before` (empty: of all).

        Without a stream: all that was said in the room, whether or not its channel was on the air.
        """

    async def after(self, channel_id: str, stream_id: str, after: str, before: str, limit: int) -> Page:
        """The oldest `limit` messages of a stream, or of a room as above, between two ids, both exclusive.

        An empty id bounds nothing.
        """

    async def ping(self) -> None:
        """UnavailableError unless the store answers."""

    async def forget_old(self) -> None:
        """Drops what no repeat can need any more; called every hour or so."""
