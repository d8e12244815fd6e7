"""Chat over IRC through the whole node: its ports, the viewer ports, and a restart that refuses nobody."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.e2e.e2e_node import Channel, Node
from tests.e2e.test_e2e_chat import chatter, joined, room

pytestmark = pytest.mark.e2e
__all__ = ["room"]

_WAIT_S = 10.0
_CAPS = "CAP REQ :twitch.tv/tags twitch.tv/commands"


def _insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Lines:
    """A client: `send` writes lines, `line` reads the next one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard: list[str] = []
        self._reader, self._writer = reader, writer

    async def send(self, *lines: str) -> None:
        """Writes them."""
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self._writer.drain()

    async def line(self) -> str:
        """The next one, without its end."""
        return (await asyncio.wait_for(self._reader.readline(), _WAIT_S)).decode().removesuffix("\r\n")


class Messages(Lines):
    """The same over a WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.heard = []
        self._socket = socket
        self._lines: list[str] = []

    async def send(self, *lines: str) -> None:
        await self._socket.send_str("\r\n".join(lines))

    async def line(self) -> str:
        while not self._lines:
            message = await self._socket.receive(timeout=_WAIT_S)
            assert message.type is aiohttp.WSMsgType.TEXT, message
            self._lines = message.data.removesuffix("\r\n").split("\r\n")
        return self._lines.pop(0)


async def until(client: Lines, wanted: str) -> str:
    """The next line in which that stands; messages on the way are kept."""
    while True:
        line = await client.line()
        assert line, f"ended before {wanted}"
        if " PRIVMSG " in line:
            client.heard.append(line.rpartition(":")[2])
        if wanted in line:
            return line


@contextlib.asynccontextmanager
async def on_port(port: int, *, secure: bool = False) -> AsyncIterator[Lines]:
    """A client of one of the IRC ports."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=_insecure() if secure else None)
    try:
        yield Lines(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def on_web(web: str) -> AsyncIterator[Lines]:
    """A client of one of the viewer ports."""
    secure = _insecure() if web.startswith("https") else True
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{web}irc", ssl=secure, protocols=["irc"]) as socket,
    ):
        assert socket.protocol == "irc"
        yield Messages(socket)


async def test_bots_read_and_write_on_every_port(node: Node, room: tuple[Channel, str]) -> None:
    channel, path = room
    endpoints = (await asyncio.to_thread(node.status))["endpoints"]
    assert endpoints["irc"] == f"irc://127.0.0.1:{node.port_base + 5}"
    assert endpoints["ircs"] == f"ircs://127.0.0.1:{node.port_base + 6}"
    async with (
        on_port(node.port_base + 5) as one,
        on_port(node.port_base + 6, secure=True) as two,
        on_web(endpoints["web"]) as three,
        on_web(endpoints["web_tls"]) as four,
        chatter(node, path, channel.token) as web,
    ):
        await joined(web)
        bots, said = (one, two, three, four), []
        for bot in bots:
            await bot.send(_CAPS, f"PASS oauth:{channel.token}", f"NICK {channel.name}", f"JOIN #{channel.name}")
            await until(bot, f"ROOMSTATE #{channel.name}")
        for number, bot in enumerate(bots):
            said.append(f"from bot {number}")
            await bot.send(f"PRIVMSG #{channel.name} :{said[-1]}")
            assert "badges=broadcaster/1" in await until(bot, "USERSTATE")
            assert await web.until_heard(len(said)) == said
        await web.say("to all bots")
        for number, bot in enumerate(bots):
            await until(bot, f"PRIVMSG #{channel.name} :to all bots")
            assert bot.heard == [*said[:number], *said[number + 1 :], "to all bots"]


@pytest.mark.slow
async def test_a_restart_refuses_nobody(victim: Node) -> None:
    """Connections come all the time; each is answered, by the old process or by the new one."""
    answered = 0
    restart = asyncio.create_task(asyncio.to_thread(victim.command, "restart", "chat"))
    while not restart.done():
        async with on_port(victim.port_base + 5) as bot:
            await bot.send("NICK justinfan1")
            line = await bot.line()
            assert line in ("", ":tmi.twitch.tv 001 justinfan1 :Welcome, GLHF!")
            answered += bool(line)
        await asyncio.sleep(0.05)
    await restart
    print(f"{answered} clients came in meanwhile")
    async with on_port(victim.port_base + 5) as bot:
        await bot.send("NICK justinfan1")
        assert "001" in await bot.line()
