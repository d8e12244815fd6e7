"""A room that is talked in for a long time, with viewers that come and go: what is lost, and what memory becomes.

`--minutes=60`, `--readers=200`, `--talkers=5` (each says a number once a second). Every reader leaves about once a
minute and resumes; it counts each talker's numbers, so that one missing or doubled message is found.
"""

import asyncio
import contextlib
import json
import random
import time
from collections import Counter
from pathlib import Path

import aiohttp

from tests.e2e.e2e_node import Node

_STAYS_S = 60.0
_EVERY_S = 1.0
_SAMPLE_S = 30.0
_GROWTH = 1.05  # of the gateway, from the second quarter to the last
_TIMEOUT = aiohttp.ClientWSTimeout(ws_close=2.0)


class Reader:
    """One viewer. `last` has the newest number of each talker."""

    def __init__(self, url: str) -> None:
        self.last: dict[str, int] = {}
        self.wrong = Counter[str]()
        self.messages = 0
        self._url = url
        self._position = ""

    async def read(self, session: aiohttp.ClientSession) -> None:
        """Until it is cancelled."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                params = {"since": self._position} if self._position else {}
                async with session.ws_connect(self._url, params=params, timeout=_TIMEOUT) as socket:
                    await self._listen(socket)

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * _STAYS_S * random.random()):
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        self._take(json.loads(message.data))

    def _take(self, frame: dict[str, object]) -> None:
        position = frame.get("position")
        if isinstance(position, str):
            self._position = position
        if frame["type"] == "gap":
            self.wrong["gap"] += 1
        messages = frame["messages"] if frame["type"] == "messages" else []
        assert isinstance(messages, list)
        for one in messages:
            talker, _, number = str(one["message"]).partition(" ")
            before = self.last.get(talker)
            if before is not None and int(number) != before + 1:
                self.wrong["missing" if int(number) > before + 1 else "doubled"] += 1
            self.last[talker] = int(number)
            self.messages += 1


async def talk(session: aiohttp.ClientSession, url: str, token: str, name: str) -> None:
    """Says a number each second, until it is cancelled."""
    async with session.ws_connect(url, params={"token": token}) as socket:
        drain = asyncio.ensure_future(_drain(socket))
        try:
            number = 0
            while True:
                await socket.send_json(
                    {"type": "message", "message": f"{name} {number}", "nonce": f"{name}-{number}"}
                )
                number += 1
                await asyncio.sleep(_EVERY_S)
        finally:
            drain.cancel()


async def _drain(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in socket:
        pass


def private_mb(pid: int) -> float:
    """Memory that a process shares with nobody: what it shares changes with others that come and go."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def by_name(node: Node) -> dict[str, float]:
    """Megabytes of each child of the node."""
    status = node.status()
    return {child["name"]: private_mb(child["pid"]) for child in status["roles"] if child["pid"]}


async def soak(node: Node, minutes: float, readers: int, talkers: int) -> int:
    """Prints what happened; 1 when something is missing or memory grew."""
    channel = await asyncio.to_thread(node.channel, "soak")
    url = f"{node.web}/chat/{channel.name}/subscribe"
    crowd = [Reader(url) for _ in range(readers)]
    samples: list[dict[str, float]] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        tasks = [asyncio.ensure_future(reader.read(session)) for reader in crowd]
        tasks += [asyncio.ensure_future(talk(session, url, channel.token, f"t{n}")) for n in range(talkers)]
        until = time.monotonic() + minutes * 60
        while time.monotonic() < until:
            await asyncio.sleep(min(_SAMPLE_S, minutes * 60 / 8))
            samples.append(await asyncio.to_thread(by_name, node))
        failed = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    wrong = sum((reader.wrong for reader in crowd), Counter[str]())
    received = sum(reader.messages for reader in crowd)
    print(f"chat_soak: {minutes:.0f} min, {readers} readers got {received} messages; {dict(wrong) or 'none'} wrong")
    print(f"chat_soak: {len(failed)} clients ended by themselves")
    return int(bool(wrong or failed) | _grew(samples))


def _grew(samples: list[dict[str, float]]) -> bool:
    quarter = len(samples) // 4
    grew = False
    for name in sorted(samples[-1]):
        quarters = [
            sum(sample.get(name, 0.0) for sample in samples[n * quarter : (n + 1) * quarter]) / quarter
            for n in range(4)
        ]
        print(f"chat_soak: {name:<12} {' '.join(f'{mean:7.1f}' for mean in quarters)} MB in the quarters")
        if name == "chat":
            grew = quarters[3] > _GROWTH * quarters[1]
    return grew


def main(options: list[str] | None = None) -> int:
    """See the module."""
    told = dict(option.removeprefix("--").split("=", 1) for option in options or [])
    node = Node({"NEARCAST__CHAT__USER_PER_MINUTE": "100000"})
    try:
        node.start()
        return asyncio.run(
            soak(node, float(told.get("minutes", 60)), int(told.get("readers", 200)), int(told.get("talkers", 5)))
        )
    finally:
        node.remove()


if __name__ == "__main__":
    raise SystemExit(main())
