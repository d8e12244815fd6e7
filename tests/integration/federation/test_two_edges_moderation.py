"""What a moderator does at one edge holds at the other: seen there, refused there, and after a link was cut."""

import asyncio

import pytest
from two_edges_room import event, is_banned, on_both, refusal, told, until_told
from websockets.exceptions import ConnectionClosed

from tests.integration.chat.irc_clients import irc, tags_of


def test_what_is_done_at_one_edge_holds_at_the_other(tmp_path, dsn):
    async def scenario(room):
        alice = await room.client(room.here, "alice")
        watcher, bob, mona = [await room.client(room.there, name) for name in ("", "bob", "mona")]
        async with irc(room.there.gateway) as line:
            await line.send("CAP REQ :twitch.tv/tags twitch.tv/commands", "NICK justinfan1", "JOIN #alice")
            await line.until("ROOMSTATE")

            async def do(text, name, client=watcher):
                with room.timed(text):
                    await alice.say(text)
                    return await event(client, name)

            await bob.say("hello", "b1")
            said = (await bob.until("ack"))["message_id"]
            assert (await do("/mod mona", "role"))["username"] == "mona"
            assert (await do("/block rude*", "term", mona))["text"] == "rude*"
            assert (await refusal(bob, "rudely"))["code"] == "blocked_term"
            assert (await do("/slow 30", "mode"))["modes"] == {"slow": 30}
            assert "slow=30" in await line.until("ROOMSTATE")
            assert (await refusal(bob, "soon again"))["code"] == "slow_mode"
            assert (await do("/slowoff", "mode"))["modes"] == {}
            assert (await do("/followers 10", "mode"))["modes"] == {"followers": 10}
            assert (await refusal(bob, "am I one?"))["code"] == "followers_only"
            assert (await do("/followersoff", "mode"))["modes"] == {}
            assert (await do("/shield", "mode"))["modes"]["shield"] is True
            assert (await do("/shieldoff", "mode"))["modes"] == {}
            with room.timed("seven at once"):
                for seconds in range(1, 8):
                    await alice.say(f"/slow {seconds}")
                while (await event(watcher, "mode"))["modes"] != {"slow": 7}:
                    pass
            await do("/slowoff", "mode")
            deleted = await do(f"/delete {said}", "delete")
            assert (deleted["message_id"], deleted["username"]) == (said, "bob")
            assert f"target-msg-id={said}" in await line.until("CLEARMSG")
            await bob.say("once more", "b2")
            await watcher.until_seen(2)
            timeout = await do("/timeout bob 600 rude", "timeout")
            assert timeout["until"] - timeout["timestamp"] == 600_000
            tags, rest = tags_of(await line.until("CLEARCHAT"))
            assert (tags["ban-duration"], rest) == ("600", ":tmi.twitch.tv CLEARCHAT #alice :bob")
            assert (await refusal(bob, "but"))["retry_after"] > 590
            await do("/untimeout bob", "unban")
            await bob.say("thanks", "b3")
            await bob.until("ack")
            await do("/clear", "clear")
            assert (await line.until("CLEARCHAT")).endswith("CLEARCHAT #alice")
            late = await room.client(room.there)
            assert late.seen == []
            await do("/mute bob", "mute", mona)
            assert (await refusal(bob, "quiet"))["code"] == "muted"
            await do("/ban bob", "ban")
            with pytest.raises(ConnectionClosed) as closed:
                await event(bob, "nothing")
            assert closed.value.rcvd.code == 4003
            assert (await room.audited(14))[:4] == ["ban", "mute", "clear", "unban"]
        print({name: round(seconds, 3) for name, seconds in room.took.items()})

    on_both(tmp_path, dsn, scenario)


def test_a_link_is_cut_and_mended(tmp_path, dsn):
    """Each edge goes on alone; then both come to the same, and nobody is told anything twice."""

    async def scenario(room):
        here, there = room.here, room.there
        for name in ("carol", "dave"):
            room.tokens[name] = (await room.api("POST", "users", {"username": name}))["token"]
        alice, owner = await room.client(here, "alice"), await room.client(there, "alice")
        watcher = await room.client(there)
        await alice.say("/mod mona")
        await event(watcher, "role")
        mona = await room.client(there, "mona")
        await here.link.cut()
        for text in ("/ban bob rude", "/timeout carol 600", "/ban dave", "/unban dave", "/slow 30", "/announce hm"):
            await alice.say(text, text)
            await alice.until("ack", 2)
        assert await is_banned(room, here, "bob")
        assert not await is_banned(room, there, "bob")
        await mona.say("/block rude", "m")
        await mona.until("ack", 2)
        await mona.say("/slow 10", "m2")
        await mona.until("ack", 2)
        assert (await event(watcher, "mode"))["modes"] == {"slow": 10}
        again = await here.start_gateway()
        first, here.gateway = here.gateway, again
        assert await is_banned(room, here, "bob"), "a gateway that is started again knows it from the outbox"
        with room.timed("mended"):
            await here.link.mend()
            wanted = ("ban", "bob"), ("timeout", "carol"), ("unban", "dave"), ("announce", "alice")
            await until_told(watcher, *wanted)
        await event(alice, "mode", 10)  # one's own, then the other edge's, which is later
        assert (await event(alice, "mode", 10))["modes"] == {"slow": 10}
        assert await is_banned(room, there, "bob")
        await owner.say("/clear", "end")
        for client in (alice, watcher):
            await until_told(client, ("clear", None))
        once = [("announce", "alice"), ("ban", "bob"), ("clear", None), ("timeout", "carol"), ("unban", "dave")]
        assert sorted(one for one in told(watcher)[2:] if one[1] != "dave" or one[0] == "unban") == once
        kinds = ["role", "ban", "timeout", "ban", "unban", "mode", "mode", "term", "clear", "announce"]
        assert sorted(one[0] for one in told(alice)) == sorted(kinds)
        assert sorted(await room.audited(len(kinds))) == sorted(kinds)
        await first.close()
        print({name: round(seconds, 3) for name, seconds in room.took.items()})

    on_both(tmp_path, dsn, scenario)


def test_the_centre_is_away_for_a_while(tmp_path, dsn):
    async def scenario(room):
        alice, watcher = await room.client(room.here, "alice"), await room.client(room.there)
        await room.made.stop_centre()
        await alice.say("/ban bob rude", "1")
        await alice.until("ack", 2)
        assert await is_banned(room, room.here, "bob")
        await alice.say("/timeout mona 1", "2")
        await alice.until("ack", 2)
        await room.made.start_centre()
        with room.timed("centre"):
            await until_told(watcher, ("ban", "bob"), ("timeout", "mona"))
        mona = await room.client(room.there, "mona")
        await asyncio.sleep(1)
        await mona.say("here again", "1")
        await mona.until("ack")
        assert await room.audited(2) == ["timeout", "ban"]
        print({name: round(seconds, 3) for name, seconds in room.took.items()})

    on_both(tmp_path, dsn, scenario)


def test_the_hub_comes_back_with_nothing(tmp_path, dsn):
    """What the edges know stays as it is while the centre tells it anew."""

    async def scenario(room):
        alice = await room.client(room.here, "alice")
        await alice.say("/ban bob rude", "1")
        while not await is_banned(room, room.there, "bob"):
            await asyncio.sleep(0.02)
        before = [await edge.changes() for edge in (room.here, room.there)]
        await room.made.lose_hub()
        await room.made.start_centre()
        carol = await room.api("POST", "users", {"username": "carol"})
        room.tokens["carol"] = carol["token"]
        async with asyncio.timeout(10):
            for edge in (room.here, room.there):
                while await is_banned(room, edge, "carol"):
                    await asyncio.sleep(0.05)  # her token is on its way, behind all the rest
        after = [await edge.changes() for edge in (room.here, room.there)]
        anew = 2  # her token, and the key of grants that the coordinator made at its start
        assert [end - start for start, end in zip(before, after, strict=True)] == [anew, anew]
        assert await is_banned(room, room.there, "bob")

    on_both(tmp_path, dsn, scenario)
