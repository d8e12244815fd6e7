"""A room at two edges, and what one does and sees in it."""

import asyncio
import contextlib
import time
import urllib.parse

import aiohttp
import uvloop
import websockets
from two_edges import federation
from websockets.exceptions import ConnectionClosed

from tests.integration.chat.chat_site import Chatter


class Room:
    """alice's room at both edges: who watches, who speaks, and the centre's API."""

    def __init__(self, made, stack):
        self.made, self.stack = made, stack
        self.here, self.there = made.edges
        self.tokens = {}
        self.took = {}

    async def start(self):
        self.session = await self.stack.enter_async_context(aiohttp.ClientSession())
        self.tokens["alice"] = (await self.api("POST", "channels", {"name": "alice"}))["token"]
        for name in ("bob", "mona"):
            self.tokens[name] = (await self.api("POST", "users", {"username": name}))["token"]

    async def api(self, method, path, body=None, token=""):
        headers = {"Authorization": f"Bearer {token or self.made.operator}"}
        async with self.session.request(method, f"{self.made.api}/{path}", json=body, headers=headers) as answer:
            found = None if answer.status == 204 else await answer.json()
            assert answer.status < 300, found
            return found

    async def audited(self, count):
        """Kinds of the events that the centre has, the newest first, once there are so many."""
        async with asyncio.timeout(10):
            while True:
                found = (await self.api("GET", "moderation/alice/events"))["events"]
                if len(found) >= count:
                    return [one["event"] for one in found]
                await asyncio.sleep(0.05)

    async def client(self, edge, name="", channel="alice", **query):
        query |= {"token": self.tokens[name]} if name else {}
        address = edge.gateway.ws(f"?{urllib.parse.urlencode(query)}", channel)
        socket = await self.stack.enter_async_context(websockets.connect(address, max_queue=None))
        made = Chatter(socket)
        await made.until("hello")
        return made

    @contextlib.contextmanager
    def timed(self, name):
        began = time.monotonic()
        yield
        self.took[name] = time.monotonic() - began


async def event(client, name, timeout=5):
    """The next event of that name."""
    while True:
        found = await client.until("event", timeout)
        if found["event"] == name:
            return found


def told(client):
    """Names of the events that came, and whom they are about."""
    return [(one["event"], one.get("username")) for one in client.other if one["type"] == "event"]


async def until_told(client, *wanted, timeout=10):
    """Returns when all of these events have come, in whatever order."""
    async with asyncio.timeout(timeout):
        while not set(wanted) <= set(told(client)):
            await client.until("event", timeout)


async def refusal(client, text):
    await client.say(text, "r")
    return await client.until("error")


def on_both(tmp_path, dsn, scenario):
    async def run():
        async with asyncio.timeout(100), federation(tmp_path, dsn) as made, contextlib.AsyncExitStack() as stack:
            room = Room(made, stack)
            await room.start()
            await scenario(room)

    uvloop.run(run())


async def is_banned(room, edge, name):
    with contextlib.suppress(ConnectionClosed):
        async with websockets.connect(edge.gateway.ws(f"?token={room.tokens[name]}")) as socket:
            await Chatter(socket).until("hello")
            return False
    return True
