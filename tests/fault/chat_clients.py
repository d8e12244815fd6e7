"""Chat clients that number what they say, come back as clients should, and remember everything they were told."""

import asyncio
import contextlib
import json
import random
from collections import Counter
from typing import Any

import aiohttp

_AGAIN_S = 1.0
_TIMEOUT = aiohttp.ClientWSTimeout(ws_close=1.0)


class Numbered:
    """One client: reads all the time, resumes after each loss, says a message every `every_s`.

    A `rude` one cuts its connection after each third message, before it can be acknowledged.

    Without an acknowledgement nobody knows whether a message was stored: it is said again with its nonce, on the
    next connection or after a refusal, until it is acknowledged.
    """

    def __init__(self, name: str, url: str, token: str, every_s: float, *, rude: bool = False) -> None:
        self.name = name
        self.sent: list[str] = []
        self.acknowledged: set[str] = set()
        self.waiting: dict[str, None] = {}  # said and not acknowledged, in order
        self.repeated = 0
        self.seen: Counter[str] = Counter()
        self.order: list[str] = []
        self.gaps = 0
        self.lost = 0
        self.position = ""
        self.joined = asyncio.Event()
        self._url = url
        self._token = token
        self._every_s = every_s
        self._rude = rude
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._speaking = True

    async def read(self, session: aiohttp.ClientSession) -> None:
        """Stays connected until it is cancelled."""
        while True:
            query = {"token": self._token, **({"since": self.position} if self.position else {})}
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with session.ws_connect(self._url, params=query, timeout=_TIMEOUT) as socket:
                    await self._listen(socket)
            self._socket = None
            self.lost += 1
            await asyncio.sleep(_AGAIN_S * random.random())

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                frame = json.loads(message.data)
                self._take(frame, socket)
                if frame["type"] == "hello":
                    await self.again()

    def _take(self, frame: dict[str, Any], socket: aiohttp.ClientWebSocketResponse) -> None:
        kind = frame["type"]
        if kind == "messages":
            texts = [one["message"] for one in frame["messages"]]
            self.seen.update(texts)
            self.order += texts
        elif kind == "ack":
            self.acknowledged.add(frame["nonce"])
            self.waiting.pop(frame["nonce"], None)
        elif kind == "gap":
            self.gaps += 1
        if kind in ("hello", "messages"):
            self.position = frame["position"]
            self._socket = socket
            self.joined.set()

    async def speak(self) -> None:
        """Says the next number from time to time, until `hush`."""
        await asyncio.sleep(self._every_s * random.random())
        while self._speaking:
            if self._socket is not None:
                text = f"{self.name}-{len(self.sent)}"
                self.sent.append(text)
                self.waiting[text] = None
                await self._say(text)
                if self._rude and len(self.sent) % 3 == 0:
                    self._cut()
            await asyncio.sleep(self._every_s)

    async def again(self) -> None:
        """Says everything again that was not acknowledged."""
        for text in list(self.waiting):
            self.repeated += 1
            await self._say(text)

    async def _say(self, text: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await self._socket.send_json({"type": "message", "message": text, "nonce": text})

    def _cut(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None and socket._conn is not None and socket._conn.transport is not None:
            socket._conn.transport.abort()

    def hush(self) -> None:
        """Says nothing more."""
        self._speaking = False
