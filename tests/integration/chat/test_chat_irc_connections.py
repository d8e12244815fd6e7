"""Connections of IRC: who may come in, bad input, slow and silent ones, TLS, and a process that leaves."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import threading

import aiohttp
import miniirc
import msgspec
import uvloop
import websockets
from chat_site import CHANNEL_ID, Chatter, site
from irc_clients import irc, welcome

from appliance.contracts.subjects import chat
from appliance.engines.certificate import self_signed
from appliance.runtime.tls import ServerTls


def on_gateway(tmp_path, scenario, **changes):
    async def run():
        async with asyncio.timeout(40), site(tmp_path) as made:
            await scenario(made, await made.gateway(**({"irc_port": 0, "close_s": 0.3} | changes)))

    uvloop.run(run())


async def until(condition, timeout=8):
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.01)


async def answer_pings(client):
    while True:
        await client.until("^PING :tmi.twitch.tv$", timeout=30)
        await client.send("PONG :tmi.twitch.tv")


def test_who_may_come_in(tmp_path):
    async def scenario(made, gateway):
        failed = [":tmi.twitch.tv NOTICE * :Login authentication failed"]
        improper = [":tmi.twitch.tv NOTICE * :Improperly formatted auth"]
        for lines, answer in (
            (["PASS oauth:wrong", "NICK bob"], failed),
            (["NICK bob", "PASS oauth:wrong"], failed),
            (["PASS oauth:", "NICK bob"], improper),
            (["NICK bob", "USER bob 0 * :Bob"], improper),
            (["JOIN #alice", "FOO", "QUIT"], [
                ":tmi.twitch.tv 451 * :You have not registered", ":tmi.twitch.tv 421 * FOO :Unknown command",
            ]),
            (["NICK justinfan1", "PRIVMSG #alice :hi"], [*welcome("justinfan1"), *failed]),
            (["NICK justinfan1", "WHO bob", "QUIT"], [
                *welcome("justinfan1"), ":tmi.twitch.tv 421 justinfan1 WHO :Unknown command",
            ]),
        ):  # fmt: skip
            async with irc(gateway) as client:
                await client.send(*lines)
                assert await client.rest() == answer
        async with irc(gateway, "ws") as client:
            await client.send("PASS oauth:wrong", "NICK bob")
            assert await client.rest() == failed
            assert client.socket.close_code == 4001
            assert client.socket.subprotocol == "irc"
        async with irc(gateway) as client:  # the token says who it is, in small letters
            await made.add_token("Carol")
            await asyncio.sleep(0.05)
            await client.send("PASS token-Carol", "USER x 0 * :y", "NICK somebody")
            await client.expect(*welcome("carol"))
            await made.add_token("Carol", revoked=True)
            await asyncio.sleep(0.05)
            await client.send("PRIVMSG #alice :still me?")
            assert await client.rest() == failed

    on_gateway(tmp_path, scenario)


def test_bad_input(tmp_path):
    async def scenario(made, gateway):
        tally = gateway.service.tally
        async with irc(gateway) as one:
            for byte in b"NICK justinfan7\n\xffJOIN #al\xc3\rJOIN #alice\r":
                one.writer.write(bytes([byte]))
                await one.writer.drain()
                await asyncio.sleep(0.0005)
            await one.expect(*welcome("justinfan7"))
            assert "421" in await one.line()
            await one.until(" 366 ")
            one.writer.write(b"x" * 65536 + b"\nPRI\0VMSG #alice :x\n")
            await one.until(" 417 justinfan7 :Input line was too long")
            await one.until(" 421 justinfan7 \\* :Unknown command")
            assert tally.events["bad_line"] == 3
            await one.send("JOIN " + ",".join(f"#channel{number}" for number in range(300)))
            await one.until(" 439 justinfan7 #channel")
            assert tally.events["joins_too_fast"] == 1
            for _ in range(8):
                one.writer.write(b"\0\n")
            assert (await one.rest())[-1] == "ERROR :Too many lines that make no sense"
        async with irc(gateway) as many:
            await many.send("NICK justinfan8", *(f"JOIN #channel{number}" for number in range(10_000)))
            assert (await many.rest())[-1] == "ERROR :You are too fast"
        assert tally.events["too_fast"] == 1
        async with irc(gateway, "ws") as many:
            await many.send("NICK justinfan9", *["PING a"] * 2000)
            assert (await many.rest())[-1] == "ERROR :You are too fast"
        async with irc(gateway) as flood:
            flood.writer.write(b"x" * 400_000)
            assert len(await flood.rest()) <= 1
        assert tally.events["too_fast"] == 3
        await until(lambda: gateway.service.server.count == 0)

    on_gateway(tmp_path, scenario, unknown_s=0.2)


def test_the_path_of_the_viewer_port(tmp_path):
    async def scenario(made, gateway):
        http = f"http://127.0.0.1:{gateway.port}"
        async with aiohttp.ClientSession() as session:
            for path, status in (("/irc", 426), ("/irc/other", 404)):
                async with session.get(http + path) as answer:
                    assert answer.status == status
            await until(lambda: gateway.service.server.count == 0)
            async with session.ws_connect(f"{http}/irc", protocols=["other", "text.ircv3.net"]) as one:
                assert one.protocol == "text.ircv3.net"
                await one.send_bytes(b"NICK justinfan1\nJOIN #alice")
                assert "001 justinfan1" in (await one.receive()).data
                assert "366 justinfan1 #alice" in (await one.receive()).data
                async with session.ws_connect(f"{http}/irc") as two:
                    assert (await two.receive()).type is aiohttp.WSMsgType.CLOSE
                    assert two.close_code == 4029

    on_gateway(tmp_path, scenario, connections_per_address=1)


def test_rooms_of_a_connection_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("edge.chat.irc.session.MOST_ROOMS", 2)

    async def scenario(made, gateway):
        async with irc(gateway) as one:
            await one.send("NICK justinfan1", "JOIN #alice,#bob,#carol")
            await one.until(" 405 justinfan1 #carol :")
            assert gateway.service.tally.events["over_rooms"] == 1
            await one.until("NOTICE #bob :This channel does not exist")
            await one.send("JOIN #carol", "PART #carol")
            assert not [line for line in await one.idle() if " 405 " in line]

    on_gateway(tmp_path, scenario, unknown_s=0.2)


def test_silent_ones_and_floods_of_strangers(tmp_path):
    async def scenario(made, gateway):
        server = gateway.service.server
        port = server.irc.port("irc")
        async with irc(gateway) as deaf, irc(gateway) as alive, contextlib.AsyncExitStack() as half_open:
            for _ in range(5):
                half_open.enter_context(socket.create_connection(("127.0.0.1", port)))
            await deaf.send("NICK justinfan1")
            await alive.send("NICK justinfan2")
            await until(lambda: server.count == 7)
            async with irc(gateway) as told:
                assert await told.rest() == ["ERROR :Too many connections"]
            assert server.tally.events["over_connections"] == 1
            answering = asyncio.create_task(answer_pings(alive))
            assert await deaf.rest() == [*welcome("justinfan1"), "PING :tmi.twitch.tv"]
            assert server.tally.events["handshake_timeout"] == 5
            await until(lambda: server.count == 1)
            assert server.tally.events["pong_timeout"] == 1
            answering.cancel()
        await until(lambda: server.count == 0)

    on_gateway(tmp_path, scenario, handshake_s=0.5, irc_ping_s=0.5, irc_pong_s=0.5, connections_per_address=7)


def test_one_that_reads_nothing_costs_a_cursor_and_is_cut(tmp_path):
    async def scenario(made, gateway):
        server, loop = gateway.service.server, asyncio.get_running_loop()
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.setblocking(False)
        await loop.sock_connect(slow, ("127.0.0.1", server.irc.port("irc")))
        await loop.sock_sendall(slow, b"NICK justinfan1\nJOIN #alice\n")
        room = server.rooms.get(CHANNEL_ID)
        await until(lambda: room.readers == 1)
        one = {"stream_id": "", "timestamp": 1, "user_id": "u", "username": "U", "message": "x" * 400}
        text = msgspec.json.encode([{**one, "message_id": f"{number}"} for number in range(100)])
        for number in range(20):
            await made.bus.append(chat(room.room_id, "edge1"), text, message_id=f"fill{number}")
        await until(lambda: server.tally.events["slow_client"] == 1)
        held = [one._transport.get_write_buffer_size() for one in server._connections]
        for number in range(20, 30):
            await made.bus.append(chat(room.room_id, "edge1"), text, message_id=f"fill{number}")
        await until(lambda: room.ring.last.seq >= 30)
        assert [one._transport.get_write_buffer_size() for one in server._connections] == held
        await until(lambda: server.count == 0)
        assert server.tally.closed[4008] == 1
        slow.close()

    on_gateway(tmp_path, scenario, slow_s=0.5)


def test_in_tls(tmp_path):
    async def scenario(made):
        certificate = self_signed(tmp_path / "tls", ["localhost"], dt.datetime.now(dt.UTC))
        tls = ServerTls(certificate.certificate, certificate.key)
        gateway = await made.gateway(tls=tls, irc_port=0, ircs_port=0, handshake_s=0.5, close_s=0.3)
        server = gateway.service.server
        context = ssl.create_default_context(cafile=certificate.certificate)
        options = {"ssl": context, "server_hostname": "localhost"}
        async with irc(gateway, "tls", **options) as bob, irc(gateway) as carol:
            await bob.log_in("bob", "alice")
            await carol.log_in("carol", "alice")
            for number in range(10):
                await carol.send(f"PRIVMSG #alice :{number}")
                assert (await bob.until("PRIVMSG")).endswith(f":{number}")
                await bob.send(f"PRIVMSG #alice :-{number}")
                assert (await carol.until("PRIVMSG")).endswith(f":-{number}")
            await bob.send("QUIT")
            assert not [line for line in await bob.rest() if "PRIVMSG" in line]
        await until(lambda: server.count == 0)
        plain = await asyncio.open_connection("127.0.0.1", server.irc.port("ircs"))
        silent = await asyncio.open_connection("127.0.0.1", server.irc.port("ircs"))
        await until(lambda: server.count == 2)  # they count while they shake hands
        plain[1].write(b"NICK justinfan1\r\n")
        await until(lambda: server.count == 0)
        assert server.tally.events["handshake_failed"] == 2
        for _, writer in (plain, silent):
            writer.close()
        other = self_signed(tmp_path / "other", ["localhost"], dt.datetime.now(dt.UTC))
        other.certificate.replace(certificate.certificate)
        other.key.replace(certificate.key)
        assert tls.look()  # who comes from here on sees the other one
        context = ssl.create_default_context(cafile=certificate.certificate)
        async with irc(gateway, "tls", ssl=context, server_hostname="localhost") as carol:
            await carol.log_in("carol", "alice")

    async def run():
        async with asyncio.timeout(40), site(tmp_path) as made:
            await scenario(made)

    uvloop.run(run())


class Bot:
    """A client of the library `miniirc`, in its own threads."""

    def __init__(self, port, nick, *channels):
        self.heard = []
        self.came = threading.Event()
        self.left = threading.Event()
        self.irc = miniirc.IRC(
            "127.0.0.1", port, nick, list(channels), server_password=f"oauth:token-{nick}", auto_connect=False,
            ircv3_caps={"twitch.tv/tags", "twitch.tv/commands", "twitch.tv/membership"}, persist=False,
        )  # fmt: skip
        self.irc.Handler("366", colon=False)(lambda irc, mask, args: self.came.set())
        self.irc.Handler("PRIVMSG", "CLEARCHAT", "USERSTATE", ircv3=True, colon=False)(self._hear)
        self.irc.Handler("RECONNECT", colon=False)(lambda irc, mask, args: self.left.set())

    def _hear(self, irc, mask, tags, args):
        if "id" in tags or "target-user-id" in tags:
            self.heard.append((mask[0], tags, args))

    async def start(self):
        await asyncio.to_thread(self.irc.connect)
        assert await asyncio.to_thread(self.came.wait, 5)
        return self

    async def stop(self):
        await asyncio.to_thread(self.irc.disconnect)
        await asyncio.to_thread(self.irc.wait_until_disconnected)


def test_a_bot_of_an_independent_library(tmp_path):
    async def scenario(made, gateway):
        second = await made.gateway(irc_port=0)
        bot = await Bot(gateway.service.server.irc.port("irc"), "bob", "#alice").start()
        await until(lambda: len(bot.irc.active_caps) >= 3)
        async with websockets.connect(gateway.ws("?token=token-alice")) as one:
            alice = Chatter(one)
            await alice.until("hello")
            await asyncio.to_thread(bot.irc.msg, "#alice", "hello from a bot")
            await alice.until_seen(1)
            await alice.say("hello bot")
            await until(lambda: len(bot.heard) == 2)
            assert [(who, args) for who, _, args in bot.heard] == [
                ("tmi.twitch.tv", ["#alice"]), ("alice", ["#alice", "hello bot"]),
            ]  # fmt: skip
            assert bot.heard[1][1]["badges"] == "broadcaster/1"
            await asyncio.to_thread(bot.irc.me, "#alice", "waves; twice")
            await alice.until_seen(3)
            assert alice.seen == ["hello from a bot", "hello bot", "/me waves; twice"]
            await alice.say("/timeout carol 30")
            await until(lambda: len(bot.heard) == 4)
            assert bot.heard[3][1]["ban-duration"] == "30"
            assert bot.heard[3][2] == ["#alice", "carol"]
        draining = asyncio.create_task(gateway.service.drain())
        assert await asyncio.to_thread(bot.left.wait, 5)
        again = await Bot(second.service.server.irc.port("irc"), "bob", "#alice").start()
        async with websockets.connect(second.ws("?token=token-alice")) as one:
            await Chatter(one).say("after the restart")
            await until(lambda: [args for _, _, args in again.heard] == [["#alice", "after the restart"]])
        await draining
        assert gateway.service.server.count == 0
        await again.stop()
        await bot.stop()

    on_gateway(tmp_path, scenario)


def test_a_process_that_leaves_says_so(tmp_path):
    async def scenario(made, gateway):
        async with irc(gateway) as one, irc(gateway, "ws") as two, irc(gateway) as plain:
            await one.log_in("bob", "alice")
            await two.log_in("carol", "alice")
            await plain.log_in("alice", "alice", caps="")
            await gateway.service.drain()
            assert (await one.rest())[-1] == (await two.rest())[-1] == ":tmi.twitch.tv RECONNECT"
            assert two.socket.close_code == 4009
            assert await plain.rest() == []

    on_gateway(tmp_path, scenario)


def test_a_password_made_a_moment_ago_is_waited_for_and_what_is_said_meanwhile(tmp_path):
    async def scenario(made, gateway):
        newcomers = gateway.service.server.newcomers
        async with irc(gateway) as early, irc(gateway) as never:
            await early.send("PASS oauth:token-dora", "NICK dora", "JOIN #alice", "PRIVMSG #alice :first words")
            await never.send("PASS oauth:token-nobody", "NICK nobody", "JOIN #alice")
            async with irc(gateway) as gone:
                await gone.send("PASS oauth:token-gone", "NICK gone")
                await until(lambda: len(newcomers._waiting) == 3)
            await until(lambda: len(newcomers._waiting) == 2)
            await made.add_token("dora")
            await early.expect(*welcome("dora"))
            await early.until("JOIN #alice")
            assert await never.rest() == [":tmi.twitch.tv NOTICE * :Login authentication failed"]
            await until(lambda: "first words" in bodies(gateway))
        assert not newcomers._waiting

    on_gateway(tmp_path, scenario, unknown_s=1.0)


def bodies(gateway):
    """What was said in the room."""
    ring = gateway.service.server.rooms.get(CHANNEL_ID).ring
    return b"".join(entry.data for entry in ring.entries(ring.first, ring.end)).decode()
