"""What a client missed since a position: from the log where the ring no longer has it, then from the ring."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from edge.chat.frames import Says, entries_frames, gap_frame
from edge.chat.positions import Position
from edge.chat.ring import Entry
from edge.chat.room import CATCH_UP_BYTES, Room
from edge.chat.rooms import Feed, Rooms

_READ_S = 5.0
_BATCH = 500
_MOST = 5000

Send = Callable[[bytes], Awaitable[None]]


class Resumed(NamedTuple):
    """The rest is in the room's ring, from entry `cursor` on."""

    room: Room
    cursor: int


def missed_in_ring(feed: Feed, room: Room, since: Position) -> int | None:
    """The number of the first entry behind `since` where the ring has all that was missed; else None."""
    if feed.seen < since.seq or since < room.ring.floor:
        return None
    return room.ring.number_after(since)


async def resume(rooms: Rooms, feed: Feed, room_id: str, since: Position, send: Send) -> Resumed:
    """Sends what the ring lacks, in order; a gap frame stands for what cannot be had any more."""
    if not await feed.has(since.seq):  # a position of a log that is no more
        room = rooms.get(room_id)
        await send(gap_frame(rooms.says(since), rooms.says(room.ring.opening(room.ring.end))))
        return Resumed(room, room.ring.end)
    left = _MOST
    while since < rooms.get(room_id).ring.floor and left > 0:
        older = await feed.older(room_id, since, _BATCH, _READ_S)
        if older.start.seq > since.seq:
            await send(gap_frame(rooms.says(since), rooms.says(Position(older.start.seq + 1, 0))))
        await _send_entries(older.entries, rooms.says, send)
        since = max(since, older.upto)
        left -= len(older.entries)
        if older.failed:
            break
    room = rooms.get(room_id)
    if since < room.ring.floor:
        await send(gap_frame(rooms.says(since), rooms.says(room.ring.opening(room.ring.first))))
    return Resumed(room, room.ring.number_after(since))


async def _send_entries(entries: list[Entry], says: Says, send: Send) -> None:
    start, size = 0, 0
    for number, entry in enumerate(entries):
        size += len(entry.data)
        if size >= CATCH_UP_BYTES or number == len(entries) - 1:
            await send(entries_frames(entries[start : number + 1], says))
            start, size = number + 1, 0
