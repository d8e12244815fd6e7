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

    A message is said once: without an acknowledgement nobody knows whether it was stored, and that is allowed.
    """

    def __init__(self, name: str, url: str, token: str, every_s: float) -> None:
        self.name = name
        self.sent: list[str] = []
        self.acknowledged: set[str] = set()
        self.seen: Counter[str] = Counter()
        self.order: list[str] = []
        self.gaps = 0
        self.lost = 0
        self.position = ""
        self.joined = asyncio.Event()
        self._url = url
        self._token = token
        self._every_s = every_s
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
                self._take(json.loads(message.data), socket)

    def _take(self, frame: dict[str, Any], socket: aiohttp.ClientWebSocketResponse) -> None:
        kind = frame["type"]
        if kind == "messages":
            texts = [one["message"] for one in frame["messages"]]
            self.seen.update(texts)
            self.order += texts
        elif kind == "ack":
            self.acknowledged.add(frame["nonce"])
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
                with contextlib.suppress(aiohttp.ClientError, OSError):
                    await self._socket.send_json({"type": "message", "message": text, "nonce": text})
            await asyncio.sleep(self._every_s)

    def hush(self) -> None:
        """Says nothing more."""
        self._speaking = False
