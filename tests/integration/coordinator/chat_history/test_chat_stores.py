"""What every store of the history must do, against the real servers."""

import asyncio
import os
import random
from typing import Any

import pytest

from appliance.contracts.chat import Emote, Parent
from appliance.contracts.ids import uuid7
from appliance.runtime.clock import now_ms
from appliance.runtime.ids import new_id
from coordinator.chat_history.models import MessageRow, Page, Removal
from coordinator.chat_history.ports import ChatStore
from coordinator.times import from_ms

HOUR = 3_600_000
DAY = 24 * HOUR
BUCKET = 600_000


class Room:
    """A stream of a channel; what is said is made here and stored by the test."""

    def __init__(self, store: ChatStore) -> None:
        self.store = store
        self.channel_id, self.stream_id = new_id(), new_id()
        self.now = now_ms()

    def said(self, at_ms: int, body: str, user: str = "bob", **fields: Any) -> MessageRow:
        values = {
            "message_id": uuid7(at_ms, os.urandom(10)),
            "stream_id": self.stream_id,
            "channel_id": self.channel_id,
            "user_id": user,
            "username": user,
            "body": body,
            "badges": [],
            "emotes": [],
            "reply_to": None,
            "sent_at": from_ms(at_ms),
        }
        return MessageRow(**(values | fields))

    def removed(self, until_ms: int, user_id: str = "", message_id: str = "") -> Removal:
        return Removal(
            event_id=uuid7(until_ms, os.urandom(10)),
            channel_id=self.channel_id,
            until=from_ms(until_ms),
            user_id=user_id,
            message_id=message_id,
        )

    async def before(self, before: str = "", limit: int = 500) -> Page:
        return await self.store.before(self.channel_id, self.stream_id, before, limit)

    async def after(self, after: str, before: str = "", limit: int = 500) -> Page:
        return await self.store.after(self.channel_id, self.stream_id, after, before, limit)

    async def bodies(self) -> list[str]:
        return [row.body for row in (await self.before()).rows]


@pytest.fixture
def room(store: ChatStore) -> Room:
    return Room(store)


async def test_a_message_is_stored_once_and_comes_back_as_it_was(room: Room) -> None:
    plain = room.said(room.now - 20, "plain")
    full = room.said(
        room.now - 10,
        "Grüße 😀 \u0301 \u200f日本語 'x\" --; \\ \n",
        badges=["vip", "broadcaster"],
        emotes=[Emote(name="Kappa", start=0, end=5)],
        reply_to=plain.message_id,
        parent=Parent(user_id="u", username="mona", text="hello"),
        mentions=["mona"],
    )
    for rows in ([full, plain, full], [plain], [full]):
        await room.store.add(rows)
    page = await room.before()
    assert not page.more
    stored_plain, stored_full = page.rows
    assert (stored_plain.body, stored_plain.badges, stored_plain.reply_to) == ("plain", [], None)
    assert (stored_plain.parent, stored_plain.mentions) == (None, None)
    assert stored_full.body == full.body
    assert stored_full.sent_at == full.sent_at
    assert (stored_full.message_id, stored_full.stream_id) == (full.message_id, room.stream_id)
    assert (stored_full.user_id, stored_full.username) == ("bob", "bob")
    assert (stored_full.badges, stored_full.reply_to) == (full.badges, plain.message_id)
    assert stored_full.mentions == ["mona"]


async def test_pages_in_both_directions_over_quiet_days(room: Room) -> None:
    moments = [room.now - 9 * DAY + n * 4 * 60_000 for n in range(60)]  # six buckets' worth a day
    moments += [room.now - HOUR + n * 1000 for n in range(60)]
    rows = [room.said(at_ms, f"m{n}") for n, at_ms in enumerate(moments)]
    shuffled = random.sample(rows, len(rows))
    await room.store.add(shuffled[:50])
    await room.store.add(shuffled[50:])
    expected = [row.message_id for row in rows]
    found: list[str] = []
    before = ""
    while True:
        page = await room.before(before, 7)
        found[:0] = [row.message_id for row in page.rows]
        if not page.more:
            break
        before = page.rows[0].message_id
    assert found == expected
    found = [expected[0]]
    while True:
        page = await room.after(found[-1], limit=11)
        found += [row.message_id for row in page.rows]
        if not page.more:
            break
    assert found == expected
    page = await room.after(expected[50], expected[70], limit=500)
    assert [row.message_id for row in page.rows] == expected[51:70]
    page = await room.after(uuid7(moments[58], b"\xff" * 10), uuid7(moments[61], b"\x00" * 10))
    assert [row.body for row in page.rows] == ["m59", "m60"]
    assert [row.body for row in (await room.before(uuid7(moments[60], b"\x00" * 10), 2)).rows] == ["m58", "m59"]
    exactly = await room.before(expected[5], 5)
    assert [row.message_id for row in exactly.rows] == expected[:5]
    assert not exactly.more


async def test_a_stream_of_more_than_a_day(room: Room) -> None:
    first = room.now - 3 * DAY
    rows = [room.said(first + n * (BUCKET + 7_000), f"m{n}") for n in range(400)]
    await room.store.add(rows)
    assert await room.bodies() == [row.body for row in rows]
    page = await room.after(rows[10].message_id, limit=300)
    assert [row.body for row in page.rows] == [row.body for row in rows[11:311]]
    assert page.more


async def test_messages_at_the_edge_of_a_bucket(room: Room) -> None:
    border = room.now // BUCKET * BUCKET - BUCKET
    rows = [room.said(border + shift, f"{shift}") for shift in (-BUCKET, -1, 0, 1, BUCKET - 1, BUCKET)]
    await room.store.add(rows)
    assert await room.bodies() == [row.body for row in rows]
    page = await room.after(rows[1].message_id, rows[4].message_id)
    assert [row.body for row in page.rows] == ["0", "1"]
    page = await room.before(rows[2].message_id)
    assert [row.body for row in page.rows] == [f"{-BUCKET}", "-1"]


async def test_ten_thousand_messages_of_one_room(room: Room) -> None:
    first = room.now - HOUR
    rows: list[MessageRow] = []
    for start in range(0, 10_000, 1000):
        numbers = range(start, start + 1000)
        rows += [room.said(first + n * 90, f"m{n}", user=f"u{n % 50}") for n in numbers]
        await room.store.add(rows[start:])
    found: list[str] = []
    before = ""
    for _ in range(20):
        page = await room.before(before, 500)
        found[:0] = [row.body for row in page.rows]
        before = page.rows[0].message_id
    assert not page.more
    assert found == [row.body for row in rows]
    page = await room.after(rows[4321].message_id, limit=500)
    assert [row.body for row in page.rows] == [row.body for row in rows[4322:4822]]


async def test_rooms_and_streams_are_kept_apart(store: ChatStore) -> None:
    rooms = [Room(store) for _ in range(50)]
    another = Room(store)  # a stream of the first channel, at the same time
    another.channel_id = rooms[0].channel_id
    everything = [*rooms, another]
    rows = [room.said(room.now - 1000 + n, f"{n} of {i}") for i, room in enumerate(everything) for n in range(5)]
    rows += [room.said(room.now - 500, "nobody was live", stream_id=None) for room in rooms]
    await store.add(random.sample(rows, len(rows)))
    for index in (0, 1, 49, 50):
        assert await everything[index].bodies() == [f"{n} of {index}" for n in range(5)]
    page = await another.before(limit=2)
    assert [row.body for row in page.rows] == ["3 of 50", "4 of 50"]
    assert page.more
    elsewhere = await store.before(rooms[2].channel_id, rooms[3].stream_id, "", 10)
    assert elsewhere == Page([], False)


async def test_a_room_is_read_over_all_its_streams_and_between_them(store: ChatStore) -> None:
    first, second, other = Room(store), Room(store), Room(store)
    second.channel_id = first.channel_id
    hour = first.now - HOUR
    rows = [first.said(hour + n, f"first {n}") for n in range(4)]
    rows += [first.said(hour + BUCKET + n, f"between {n}", stream_id=None) for n in range(3)]
    rows += [second.said(first.now - 10 + n, f"second {n}") for n in range(4)]
    wanted = [row.body for row in rows]
    await store.add(random.sample(rows, len(rows)))
    await store.add([other.said(first.now - 5, "elsewhere")])
    found: list[str] = []
    before = ""
    while True:
        page = await store.before(first.channel_id, "", before, 3)
        found[:0] = [row.body for row in page.rows]
        if not page.more:
            break
        before = page.rows[0].message_id
    assert found == wanted
    page = await store.after(first.channel_id, "", rows[3].message_id, rows[8].message_id, 10)
    assert ([row.body for row in page.rows], page.more) == (wanted[4:8], False)
    assert {row.stream_id for row in page.rows} == {None, second.stream_id}
    await store.remove([first.removed(first.now, message_id=rows[5].message_id)])
    page = await store.before(first.channel_id, "", "", 500)
    assert [row.body for row in page.rows] == [*wanted[:5], *wanted[6:]]


async def test_empty_pages(room: Room) -> None:
    nothing = Page([], False)
    assert await room.before() == nothing
    assert await room.after(new_id()) == nothing
    only = room.said(room.now, "only")
    await room.store.add([])
    await room.store.remove([])
    await room.store.add([only])
    assert await room.before(only.message_id) == nothing
    assert await room.after(only.message_id) == nothing
    assert await room.after(only.message_id, only.message_id) == nothing
    assert await room.after(uuid7(room.now + DAY, b"\x00" * 10), uuid7(room.now - DAY, b"\x00" * 10)) == nothing


@pytest.mark.parametrize("removals_first", [False, True])
async def test_removals_hold_whichever_comes_first(room: Room, removals_first: bool) -> None:
    at_ms = room.now - HOUR
    elsewhere = Room(room.store)
    rows = [
        room.said(at_ms - DAY - 1000, "bob, the day before yesterday"),
        room.said(at_ms - DAY + 1000, "bob, within the day"),
        room.said(at_ms - 2000, "bob, just before"),
        room.said(at_ms - 1500, "mona", user="mona"),
        room.said(at_ms - 1400, "mona, deleted", user="mona"),
        room.said(at_ms, "bob, in the same moment"),
        room.said(at_ms + 1, "bob, after"),
    ]
    theirs = elsewhere.said(at_ms - 2000, "bob, elsewhere")
    removals = [room.removed(at_ms, "bob"), room.removed(at_ms + 5000, message_id=rows[4].message_id)]
    for _ in range(2):
        if removals_first:
            await room.store.remove(removals)
        await room.store.add([*rows, theirs])
        if not removals_first:
            await room.store.remove(removals)
    assert await room.bodies() == ["bob, the day before yesterday", "mona", "bob, after"]
    page = await room.after(rows[0].message_id)
    assert [row.body for row in page.rows] == ["mona", "bob, after"]
    assert await elsewhere.bodies() == ["bob, elsewhere"]
    await room.store.remove([room.removed(at_ms + 10)])
    await room.store.add(rows)
    assert await room.bodies() == ["bob, the day before yesterday"]
    later = room.said(at_ms + 6000, "a new day")
    await room.store.add([later])
    assert await room.bodies() == ["bob, the day before yesterday", "a new day"]


async def test_a_page_reads_on_past_what_was_removed(room: Room) -> None:
    first = room.now - 5 * HOUR
    rows = [
        room.said(first + n * 20_000, f"m{n}", user="ada" if n % 100 == 0 else f"bot{n % 3}") for n in range(600)
    ]
    await room.store.add(rows)
    until = first + 599 * 20_000
    await room.store.remove([room.removed(until, f"bot{n}") for n in range(3)])
    page = await room.before(limit=4)
    assert [row.body for row in page.rows] == ["m200", "m300", "m400", "m500"]
    assert page.more
    assert await room.bodies() == [f"m{n}" for n in range(0, 600, 100)]
    await room.store.remove([room.removed(until)])
    assert await room.before() == Page([], False)


async def test_a_day_of_very_many_bans(room: Room) -> None:
    at_ms = room.now - HOUR
    rows = [room.said(at_ms + n, f"m{n}", user=f"bot{n}") for n in range(40)]
    await room.store.remove([room.removed(at_ms + 50, f"bot{n}") for n in range(2, 520)])
    await room.store.add(rows)
    assert await room.bodies() == ["m0", "m1"]


async def test_a_removal_and_its_messages_at_the_same_time(store: ChatStore) -> None:
    rooms = [Room(store) for _ in range(12)]
    await asyncio.gather(
        *(room.store.add([room.said(room.now - 10, "rude", user="bob")]) for room in rooms),
        *(room.store.remove([room.removed(room.now, "bob")]) for room in rooms),
    )
    assert [await room.bodies() for room in rooms] == [[] for _ in rooms]


async def test_housekeeping_takes_nothing_that_is_needed(room: Room) -> None:
    rude = room.said(room.now - 10, "rude")
    await room.store.remove([room.removed(room.now)])
    await room.store.forget_old()
    await room.store.add([rude, room.said(room.now + 10, "good")])
    await room.store.ping()
    assert await room.bodies() == ["good"]
