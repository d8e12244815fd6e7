"""Parts of a few broadcasts as they come out of the log and as they reach a viewer, timed from their last frame."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import urljoin

import aiohttp

from appliance.contracts import subjects
from appliance.contracts.media import CHUNK_HEADER, SOURCE, ChunkFlag, ChunkHeader
from appliance.runtime.bus import Bus, LogMessage
from appliance.runtime.clock import now_us

_HINT = re.compile(r'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p(\d+)\.m4s"')
_WHOLE = ChunkFlag.LAST_OF_PART | ChunkFlag.LAST_OF_SEGMENT
_AGAIN_S = 0.2


class Lateness(NamedTuple):
    """Seconds from the arrival of a part's last frame at ingest, sorted."""

    log: list[float]  # until a reader of the log has the part
    viewer: list[float]  # until a viewer has it who asked for it before it was there


async def part_lateness(bus: Bus, playlists: dict[str, str], seconds: float) -> Lateness:
    """Watches the source of each of the broadcasts for so long. `playlists`: their multivariant ones, by id."""
    arrived: dict[tuple[str, int], int] = {}
    last: dict[tuple[str, int], int] = {}
    found: list[float] = []
    try:
        async with asyncio.timeout(seconds), aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            for broadcast_id, url in playlists.items():
                tasks.create_task(
                    _view(
                        session,
                        broadcast_id,
                        urljoin(url, f"../../media/{broadcast_id}/{SOURCE}/index.m3u8"),
                        arrived,
                    )
                )
            async for message in await _tail(bus, list(playlists)):
                header = ChunkHeader.decode(message.headers[CHUNK_HEADER])
                if header.flags & _WHOLE:
                    found.append((now_us() - header.late_us) / 1e6)
                    last[message.subject.split(".")[1], header.serial] = header.late_us
    except TimeoutError:
        pass
    return Lateness(sorted(found), sorted((at - last[part]) / 1e6 for part, at in arrived.items() if part in last))


async def _tail(bus: Bus, broadcasts: list[str]) -> AsyncIterator[LogMessage]:
    filters = [subjects.media(one, SOURCE) for one in broadcasts]
    newest = [await bus.last_message(subjects.MEDIA_STREAM, subject) for subject in filters]
    start = max(message.seq for message in newest if message is not None) + 1
    return bus.tail(subjects.MEDIA_STREAM, filters, start)


async def _view(
    session: aiohttp.ClientSession, broadcast_id: str, url: str, arrived: dict[tuple[str, int], int]
) -> None:
    """Asks for each part that is announced, without end."""
    while True:
        async with session.get(url) as answer:
            hint = _HINT.search(await answer.text())
        if hint is None:
            await asyncio.sleep(_AGAIN_S)
            continue
        serial = int(hint[1])
        while True:
            async with session.get(urljoin(url, f"p{serial}.m4s")) as answer:
                await answer.read()
                if answer.status != 200:
                    break
            arrived[broadcast_id, serial] = now_us()
            serial += 1
        await asyncio.sleep(_AGAIN_S)
