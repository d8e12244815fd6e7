"""What is said to a whole room at one edge is heard at the other, and its moderators have one queue."""

import asyncio
import contextlib
import time

from two_edges_room import event, on_both

from appliance.contracts.events import BroadcastEvent, BroadcastEventKind
from appliance.runtime.clock import now_ms
from appliance.runtime.ids import new_id

HELD = "visit http://casino.example now"


async def ack(client, text, nonce):
    await client.say(text, nonce)
    while (found := await client.until("ack"))["nonce"] != nonce:
        pass
    return found


async def queue(room, edge, name):
    """Texts of the messages that wait, as a moderator at that edge is told over HTTP."""
    headers = {"Authorization": f"Bearer {room.tokens[name]}"}
    async with room.session.get(edge.gateway.http("/held"), headers=headers) as answer:
        assert answer.status == 200
        return [one["message"]["message"] for one in (await answer.json())["held"]]


async def until_queue(room, edge, wanted, name="mona"):
    async with asyncio.timeout(5):
        while await queue(room, edge, name) != wanted:
            await asyncio.sleep(0.02)


async def has_closed_links(room, alice, watcher):
    for text in ("/mod mona", "/hold", "/links block"):
        await ack(alice, text, text)
    while (await event(watcher, "mode"))["modes"].get("links") != "block":
        pass


async def heard_again(room, edge, since, count):
    """What somebody is told who comes back to where others say something that is heard."""
    client = await room.client(edge, since=since)
    async with asyncio.timeout(5):
        while len(told_of(client)) < count:
            await client.frame()
    with contextlib.suppress(TimeoutError):
        await client.frame(0.2)
    await client.socket.close()
    return client


def told_of(client):
    """Deletions and announcements, each with the message or the text it is about."""
    return [
        (one["event"], one.get("message_id") or one.get("text"))
        for one in client.other
        if one.get("event") in ("delete", "announce")
    ]


def test_who_comes_back_is_told_what_was_done_at_the_other_edge(tmp_path, dsn):
    async def scenario(room):
        here, there = room.here, room.there
        alice, watcher = await room.client(here, "alice"), await room.client(there)
        bob, local = await room.client(there, "bob"), await room.client(here, "bob")
        spoken = [(await ack(bob, text, text))["message_id"] for text in ("rude", "worse", "fine")]
        await ack(local, "said at lyon", "l")
        await ack(alice, "/mod mona", "m")
        await watcher.until_seen(3)
        await event(watcher, "role")
        await asyncio.sleep(1.05 - time.time() % 1)  # a position tells whole seconds
        gone, witness = await room.client(there), await room.client(there)
        await gone.until_seen(3)
        since = gone.position
        await gone.socket.close()
        await ack(alice, f"/delete {spoken[0]}", "d")
        await ack(alice, "/announce be nice", "a")
        await event(witness, "announce")
        mona = await room.client(there, "mona")
        await ack(mona, f"/delete {spoken[1]}", "d")
        wanted = [("announce", "be nice"), ("delete", spoken[0]), ("delete", spoken[1])]
        back = await heard_again(room, there, since, 3)
        assert sorted(told_of(back)) == sorted(wanted), "the same gateway: each once"
        # one that was not there knows what was taken away, and does not repeat what stands in its own log
        first, there.gateway = there.gateway, await there.start_gateway()
        back = await heard_again(room, there, since, 2)
        assert sorted(told_of(back)) == sorted(wanted[1:])
        assert back.seen == []
        # at the other edge the position means nothing, and is not taken for one of its own
        moved = await heard_again(room, here, since, 2)
        assert sorted(told_of(moved)) == sorted(wanted[1:])
        assert moved.seen == ["said at lyon"]
        assert [one["type"] for one in moved.other].count("gap") == 0
        async with room.session.get(here.gateway.http(f"/poll?since={since}")) as answer:
            page = await answer.json()
        assert page["position"].endswith("-lyon")
        async with room.session.get(here.gateway.http(f"?after={since}&before={page['position']}")) as answer:
            assert answer.status == 200
        await ack(local, "/me is still here", "l2")
        again = await room.client(here, since=moved.position)
        await again.until_seen(1)
        assert again.seen == ["/me is still here"]
        await first.close()

    on_both(tmp_path, dsn, scenario)


async def started(room):
    channel = await room.api("GET", "channels/alice")
    return BroadcastEvent(
        event_id=new_id(),
        kind=BroadcastEventKind.STARTED,
        broadcast_id=new_id(),
        channel_id=channel["channel_id"],
        edge_id=room.here.edge_id,
        at_ms=now_ms(),
    )


async def held_there_denied_here(room, alice):
    dave = await room.client(room.there, "bob")
    denied = await ack(dave, HELD + "!", "h3")
    await until_queue(room, room.here, [HELD + "!"], "alice")
    with room.timed("deny"):
        await ack(alice, f"/deny {denied['message_id']}", "h4")
        await until_queue(room, room.there, [])


def test_a_room_at_two_edges_is_one_room(tmp_path, dsn):
    async def scenario(room):
        await room.api("POST", "channels", {"name": "carol"})
        alice = await room.client(room.here, "alice")
        watcher, guest = await room.client(room.there), await room.client(room.there, channel="carol")
        with room.timed("announce"):
            await alice.say("/announce doors open at eight", "a")
            heard = await event(watcher, "announce")
        assert (heard["username"], heard["text"]) == ("alice", "doors open at eight")
        with room.timed("pin"):
            said = await ack(alice, "read the rules", "p")
            await ack(alice, f"/pin {said['message_id']}", "p2")
            pinned = await event(watcher, "pin")
        assert pinned["message"]["message"] == "read the rules"
        with room.timed("follow"):
            await room.api("PUT", "users/me/follows/alice", token=room.tokens["bob"])
            assert (await event(watcher, "follow"))["username"] == "bob"
        with room.timed("stream"):
            await room.here.tell(await started(room))
            on_air = await event(watcher, "stream")
        assert on_air["state"] == "live"
        await has_closed_links(room, alice, watcher)
        bob, mona = await room.client(room.here, "bob"), await room.client(room.there, "mona")
        # held where bob is, approved where mona is, said where bob is
        with room.timed("held"):
            assert (await ack(bob, HELD, "h1"))["held"] is True
            held = await mona.until("event")
            assert (held["event"], held["message"]["message"]) == ("held", HELD)
        await until_queue(room, room.there, [HELD])
        second = await room.here.start_gateway()  # of the same edge: both hear of the approval
        with room.timed("approve"):
            await ack(mona, f"/approve {held['message_id']}", "h2")
            await bob.until_seen(2)
        assert bob.seen[-1] == HELD
        await until_queue(room, room.here, [], "alice")
        await until_queue(room, room.there, [])
        await held_there_denied_here(room, alice)
        again = await room.here.start_gateway()
        first, room.here.gateway = room.here.gateway, again
        await until_queue(room, room.here, [], "alice")
        late = await room.client(room.here)
        await late.until("messages")
        assert late.seen == ["read the rules", HELD], "said once"
        await second.close()
        with room.timed("raid"):
            await alice.say("/raid carol", "r")
            gone, came = await event(watcher, "raid"), await event(guest, "raid")
        assert (gone["target"], came["from"]) == ("carol", "alice")
        kinds = await room.audited(10)
        assert sorted(kinds) == sorted(
            ["announce", "pin", "role", "mode", "mode", "held", "approve", "held", "deny", "raid"]
        )
        await first.close()
        print({name: round(seconds, 3) for name, seconds in room.took.items()})

    on_both(tmp_path, dsn, scenario)
