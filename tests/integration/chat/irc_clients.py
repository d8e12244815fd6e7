"""Clients of the rooms over IRC: lines as they are sent and come, over a socket and over a WebSocket."""

import asyncio
import contextlib
import re

import websockets

CAPS = "CAP REQ :twitch.tv/tags twitch.tv/commands twitch.tv/membership"
WELCOME = [
    ":tmi.twitch.tv 001 {} :Welcome, GLHF!",
    ":tmi.twitch.tv 002 {} :Your host is tmi.twitch.tv",
    ":tmi.twitch.tv 003 {} :This server is rather new",
    ":tmi.twitch.tv 004 {} :-",
    ":tmi.twitch.tv 375 {} :-",
    ":tmi.twitch.tv 372 {} :You are in a maze of twisty passages, all alike.",
    ":tmi.twitch.tv 376 {} :>",
]


def welcome(nick):
    return [line.format(nick) for line in WELCOME]


def tags_of(line):
    """Tags of a line, their values as they travel, and the line without them."""
    if not line.startswith("@"):
        return {}, line
    tags, _, rest = line[1:].partition(" ")
    return dict(one.split("=", 1) for one in tags.split(";")), rest


class Client:
    """`line()` gives the next line without its end, "" after the last one."""

    def __init__(self):
        self.lines = asyncio.Queue()

    async def line(self, timeout=5):
        return await asyncio.wait_for(self.lines.get(), timeout)

    async def expect(self, *wanted):
        """The next lines are these."""
        for one in wanted:
            assert await self.line() == one

    async def until(self, pattern, timeout=5):
        """The next line in which the pattern is found."""
        async with asyncio.timeout(timeout):
            while True:
                line = await self.lines.get()
                assert line, f"ended before {pattern}"
                if re.search(pattern, line):
                    return line

    async def rest(self, timeout=5):
        """All lines until the end."""
        found = []
        async with asyncio.timeout(timeout):
            while line := await self.lines.get():
                found.append(line)
        return found

    async def idle(self):
        """What has come by the time a ping was answered."""
        await self.send("PING :are-you-there")
        found = []
        while (line := await self.line()) != ":tmi.twitch.tv PONG tmi.twitch.tv :are-you-there":
            found.append(line)
        return found

    async def log_in(self, nick, *channels, password=None, caps=CAPS):
        """Comes in, and joins; reads what is said of that."""
        await self.send(*([caps] if caps else []), f"PASS oauth:{password or f'token-{nick}'}", f"NICK {nick}")
        await self.until(" 376 ")
        for channel in channels:
            await self.send(f"JOIN #{channel}")
            await self.until(f" 366 {nick} #{channel} ")
        return await self.idle()


class SocketClient(Client):
    def __init__(self, reader, writer):
        super().__init__()
        self.reader, self.writer = reader, writer
        self.task = asyncio.get_running_loop().create_task(self._read())

    async def _read(self):
        try:
            while line := await self.reader.readline():
                assert line.endswith(b"\r\n"), line
                self.lines.put_nowait(line[:-2].decode())
        except ConnectionError:
            pass
        self.lines.put_nowait("")

    async def send(self, *lines):
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self.writer.drain()

    async def close(self):
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
        self.task.cancel()


class WebSocketClient(Client):
    def __init__(self, socket):
        super().__init__()
        self.socket = socket
        self.task = asyncio.get_running_loop().create_task(self._read())

    async def _read(self):
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in self.socket:
                assert message.endswith("\r\n"), message
                for line in message.split("\r\n")[:-1]:
                    self.lines.put_nowait(line)
        self.lines.put_nowait("")

    async def send(self, *lines):
        await self.socket.send("\r\n".join(lines))

    async def close(self):
        await self.socket.close()
        self.task.cancel()


@contextlib.asynccontextmanager
async def irc(gateway, kind="tcp", **options):
    """A client that has not said anything; `kind`: tcp, tls or ws."""
    if kind == "ws":
        url = f"ws://127.0.0.1:{gateway.port}/irc"
        made = WebSocketClient(await websockets.connect(url, subprotocols=["irc"], **options))
    else:
        port = gateway.service.server.irc.port("irc" if kind == "tcp" else "ircs")
        made = SocketClient(*await asyncio.open_connection("127.0.0.1", port, **options))
    try:
        yield made
    finally:
        await made.close()
