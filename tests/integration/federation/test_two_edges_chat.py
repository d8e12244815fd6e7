"""What is said to a whole room at one edge is heard at the other, and its moderators have one queue."""

import asyncio

from two_edges_room import event, on_both

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
        await has_closed_links(room, alice, watcher)
        bob, mona = await room.client(room.here, "bob"), await room.client(room.there, "mona")
        # held where bob is, approved where mona is, said where bob is
        with room.timed("held"):
            assert (await ack(bob, HELD, "h1"))["held"] is True
            held = await mona.until("event")
            assert (held["event"], held["message"]["message"]) == ("held", HELD)
        await until_queue(room, room.there, [HELD])
        with room.timed("approve"):
            await ack(mona, f"/approve {held['message_id']}", "h2")
            await bob.until_seen(2)
        assert bob.seen[-1] == HELD
        await until_queue(room, room.here, [], "alice")
        await until_queue(room, room.there, [])
        # held there, denied here
        dave = await room.client(room.there, "bob")
        denied = await ack(dave, HELD + "!", "h3")
        await until_queue(room, room.here, [HELD + "!"], "alice")
        with room.timed("deny"):
            await ack(alice, f"/deny {denied['message_id']}", "h4")
            await until_queue(room, room.there, [])
        again = await room.here.start_gateway()
        first, room.here.gateway = room.here.gateway, again
        await until_queue(room, room.here, [], "alice")
        late = await room.client(room.here)
        await late.until("messages")
        assert late.seen == ["read the rules", HELD], "said once"
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
