"""Clients of IRC that others wrote, or that do what none should: in TLS, cut anywhere, at limits."""

import asyncio
import datetime as dt
import ssl
import time

import pytest
import uvloop
import websockets
from chat_site import Chatter, site
from irc_clients import CAPS, irc, tags_of, welcome
from test_chat_irc import add_channel
from test_chat_irc_connections import Bot, until

from appliance.engines.certificate import self_signed
from appliance.runtime.tls import ServerTls


def on_gateway(tmp_path, scenario, *, secure=False, **changes):
    async def run():
        async with asyncio.timeout(40), site(tmp_path) as made:
            tls = None
            if secure:
                found = self_signed(tmp_path / "tls", ["localhost"], dt.datetime.now(dt.UTC))
                tls = ServerTls(found.certificate, found.key)
                made.tls = ssl.create_default_context(cafile=found.certificate)
                changes["ircs_port"] = 0
            await scenario(made, await made.gateway(tls=tls, irc_port=0, **changes))

    uvloop.run(run())


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("size", [1, 7])
def test_a_session_as_chatterino_has_it_in_tls_cut_anywhere(tmp_path, end, size):
    """What is sent here was recorded: two connections, capabilities first, pings by name, replies with nonces."""

    async def scenario(made, gateway):
        await add_channel(made)
        options = {"ssl": made.tls, "server_hostname": "localhost"}
        async with irc(gateway, "tls", **options) as read, irc(gateway, "tls", **options) as write:

            async def send(client, *lines):
                data = b"".join(line.encode() + end for line in lines)
                for start in range(0, len(data), size):
                    client.writer.write(data[start : start + size])
                    await client.writer.drain()

            caps = ":twitch.tv/tags twitch.tv/commands twitch.tv/membership"
            await send(read, f"CAP REQ {caps}", "PASS oauth:token-bob", "NICK bob", "JOIN #alice", "JOIN #other")
            await read.expect(f":tmi.twitch.tv CAP * ACK {caps}", *welcome("bob"))
            await read.until("ROOMSTATE #other")
            await send(write, "PASS oauth:token-bob", "NICK bob", f"CAP REQ {caps}", "PING chatterino/42")
            await write.until("PONG tmi.twitch.tv :chatterino/42")
            await send(write, "@client-nonce=4a\\s1\\:2 PRIVMSG #alice :Grüße 👩‍👩‍👧‍👧 é")
            mine, _ = tags_of(await write.until("USERSTATE"))
            assert mine["client-nonce"] == "4a\\s1\\:2"
            tags, line = tags_of(await read.until("PRIVMSG"))
            assert (tags["id"], line.partition(" :")[2]) == (mine["id"], "Grüße 👩‍👩‍👧‍👧 é")
            await send(
                write,
                f"@client-nonce=n2;reply-parent-msg-id={mine['id']} PRIVMSG #alice :\x01ACTION nods; twice\x01",
            )
            tags, line = tags_of(await read.until("ACTION"))
            assert line.endswith("PRIVMSG #alice :\x01ACTION nods; twice\x01")
            assert tags["reply-parent-msg-id"] == mine["id"]
            assert tags["reply-parent-msg-body"] == "Grüße\\s👩‍👩‍👧‍👧\\sé"
            await send(write, "PART #alice", "PRIVMSG #other :still here", "QUIT :bye")
            assert (await read.until("PRIVMSG #other")).endswith(":still here")
            assert not [one for one in await write.rest() if "PART" in one]  # it was not there

    on_gateway(tmp_path, scenario, secure=True)


def test_a_timeout_ends_at_its_second(tmp_path):
    async def scenario(made, gateway):
        async with (
            irc(gateway) as line,
            websockets.connect(gateway.ws("?token=token-carol")) as one,
            websockets.connect(gateway.ws("?token=token-alice")) as two,
        ):
            await line.log_in("bob", "alice")
            carol, alice = Chatter(one), Chatter(two)
            await carol.until("hello")
            await alice.say("/timeout bob 2")
            await alice.say("/timeout carol 2")
            until_ms = [(await carol.until("event"))["until"] for _ in range(2)]
            await line.send("PRIVMSG #alice :too early")
            tags, text = tags_of(await line.until(" NOTICE "))
            assert (tags, text.rpartition(" :")[2]) == (
                {"msg-id": "msg_timedout"}, "You are timed out for 2 more seconds.",
            )  # fmt: skip
            await carol.say("too early", "c1")
            early = await carol.until("error")
            assert early["code"] == "timed_out"
            await asyncio.sleep(max(0.0, until_ms[1] / 1000 - 0.3 - time.time()))
            await carol.say("still too early", "c2")
            late = await carol.until("error")
            assert late["retry_after"] < early["retry_after"]
            await asyncio.sleep(late["retry_after"])
            await carol.say("in time", "c3")
            await carol.until("ack")
            await line.send("PRIVMSG #alice :in time")
            await line.until("USERSTATE")
            await carol.until_seen(2)

    on_gateway(tmp_path, scenario)


@pytest.mark.filterwarnings("ignore:Disabling verify_ssl")
def test_an_independent_library_in_tls(tmp_path):
    async def scenario(made, gateway):
        port = gateway.service.server.irc.port("ircs")
        bot = Bot(port, "bob", "#alice")
        bot.irc.ssl, bot.irc.verify_ssl = True, False
        await bot.start()
        async with websockets.connect(gateway.ws("?token=token-alice")) as one:
            alice = Chatter(one)
            await alice.until("hello")
            await asyncio.to_thread(bot.irc.msg, "#alice", "over TLS", tags={"client-nonce": "a b;c\\d"})
            await alice.until_seen(1)
            await until(lambda: len(bot.heard) == 1)
            assert bot.heard[0][1]["client-nonce"] == "a b;c\\d"
            await alice.say("/timeout bob 1", "1")
            await until(lambda: len(bot.heard) == 2)
            await asyncio.sleep(1.05)
            await asyncio.to_thread(bot.irc.msg, "#alice", "back")
            await alice.until_seen(1 + 1)
        await bot.stop()

    on_gateway(tmp_path, scenario, secure=True)


def test_orders_of_coming_in(tmp_path):
    orders = (
        ("NICK bob", "PASS oauth:token-bob", CAPS),
        ("CAP LS 302", "NICK BOB", CAPS, "PASS token-bob", "CAP END"),
        (
            "PASS oauth:token-bob",
            "CAP REQ twitch.tv/tags",
            "NICK Bob",
            "USER bob 8 * :bob",
            "CAP REQ :twitch.tv/commands",
        ),
        (CAPS, "CAP REQ :draft/unknown", "PASS oauth:token-bob ", "USER bob 0 * :b", "NICK bob"),
    )

    async def scenario(made, gateway):
        for order in orders:
            async with irc(gateway) as bob:
                await bob.send(*order, "JOIN #alice")
                await bob.until(" 001 bob ")
                tags, _ = tags_of(await bob.until("ROOMSTATE #alice"))
                assert tags["slow"] == "0"

    on_gateway(tmp_path, scenario)


def test_fifty_rooms_at_once_and_some_left_meanwhile(tmp_path):
    async def scenario(made, gateway):
        for number in range(50):
            await add_channel(made, f"room{number}", f"0193aaaa-0000-7000-8000-0000000001{number:02}")
        async with irc(gateway) as bob:
            await bob.send(CAPS, "PASS oauth:token-bob", "NICK bob")
            names = [f"#room{number}" for number in range(50)]
            await bob.send("JOIN " + ",".join(names), "PART " + ",".join(names[10:20]), "PRIVMSG #room5 :here")
            await bob.until("USERSTATE #room5 *$")
            heard = await bob.idle()
            async with irc(gateway) as carol:
                await carol.log_in("carol")
                await carol.send(*(f"PRIVMSG {name} :to {name}" for name in names))
                told = {(await bob.until("PRIVMSG")).rpartition(" PRIVMSG ")[2] for _ in range(40)}
                assert told == {f"{name} :to {name}" for name in (*names[:10], *names[20:])}
            assert len([line for line in heard if " 439 " in line]) == 0

    on_gateway(tmp_path, scenario)


def test_lines_and_words_at_their_limits(tmp_path):
    family = "👩‍👩‍👧‍👧"
    texts = ["x" * 500, "é" * 500, "👋🏽" * 250, family * 71, "e\u0301" * 500, "\u1100\u1161\u11a8" * 400]

    async def scenario(made, gateway):
        async with irc(gateway) as bob, websockets.connect(gateway.ws()) as one:
            carol = Chatter(one)
            await carol.until("hello")
            await bob.log_in("bob", "alice")
            for number, text in enumerate(texts):
                await bob.send(f"PRIVMSG #alice :{text}")
                assert "USERSTATE" in await bob.line(), number
            await carol.until_seen(len(texts))
            assert [len(text) for text in carol.seen] == [500, 500, 500, 497, 500, 400]
            assert carol.seen[3] == texts[3]
            for text in (*(text + "x" * 4 for text in texts[:4]), family * 72):
                await bob.send(f"PRIVMSG #alice :{text}")
                assert tags_of(await bob.line())[0] == {"msg-id": "msg_too_long"}
            for number, size in enumerate((510, 511, 513, 2000)):
                await bob.send(f"PRIVMSG #alice :{str(number) * 480}".ljust(size))
                assert "USERSTATE" in await bob.line()
            await bob.send(f"PRIVMSG #alice :{'z' * 4096}")
            assert await bob.line() == ":tmi.twitch.tv 417 bob :Input line was too long"

    on_gateway(tmp_path, scenario)
