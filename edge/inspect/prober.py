"""One watch of a presentation: finds its playlists, follows them, asks what players don't, and ends in time."""

import asyncio
import contextlib
import dataclasses

from edge.inspect.errors import NotReachableError
from edge.inspect.follower import MAX_PLAYLIST, Budget, Follower
from edge.inspect.http_client import Ask, Fetcher
from edge.inspect.inspection import Inspection
from edge.inspect.multivariant import MultivariantText, is_multivariant
from edge.inspect.observations import Exchange
from edge.inspect.playlist import read_media
from edge.inspect.probes import PresentationProbes, Probes
from edge.inspect.rules.http import GZIP
from edge.inspect.urls import join, plain

MAX_RENDITIONS = 16
_FIRST_S = 20.0  # a server may hold the first request until there is something to play
_READY_S = 25.0
_LATE_S = 0.8  # before the end: what is asked once more


@dataclasses.dataclass(slots=True)
class Result:
    """What a watch found, and how much of the presentation it saw."""

    inspection: Inspection
    seconds: float
    left_out: int
    budget_left: int


async def watch(fetcher: Fetcher, url: str, seconds: float) -> Result:
    """Watches for `seconds`, less when everything there is was seen. NotReachableError, UnusableUrlError."""
    clock = asyncio.get_running_loop().time
    began = clock()
    inspection = Inspection(began)
    first = await fetcher.fetch(Ask(url, headers=GZIP, timeout_s=_FIRST_S, max_bytes=MAX_PLAYLIST))
    if not first.ok:
        raise NotReachableError(f"{url}: {first.outcome}")
    if not first.body.lstrip(b"\xef\xbb\xbf").startswith(b"#EXT"):
        raise NotReachableError(f"{url} is not a playlist")
    playlists = _playlists(inspection, first)
    if not playlists:
        raise NotReachableError(f"{url} names no playlist")
    budget = Budget()
    followers = [
        Follower(fetcher, inspection, inspection.rendition(found, kind), budget)
        for found, kind in list(playlists.items())[:MAX_RENDITIONS]
    ]
    budget.left_out += max(0, len(playlists) - MAX_RENDITIONS)
    until = began + seconds
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(until):
            await asyncio.gather(
                *(follower.run() for follower in followers),
                _probe(fetcher, inspection, followers, first),
                _late(fetcher, inspection, followers, until),
            )
    inspection.finish(clock())
    return Result(inspection, clock() - began, budget.left_out, budget.left)


def _playlists(inspection: Inspection, first: Exchange) -> dict[str, str]:
    """URL and kind of every media playlist; that of the URL itself where it is one."""
    if not is_multivariant(first.body):
        text = read_media(first.body)
        return {first.url: "variant"} if text.segments or text.target_s is not None else {}
    return _named(inspection.multivariant(first), first.url)


def _named(text: MultivariantText, url: str) -> dict[str, str]:
    found = {join(url, variant.uri): "variant" for variant in text.variants}
    for tag in text.media:
        if tag.values.get("URI") and tag.values.get("TYPE") in ("AUDIO", "VIDEO", "SUBTITLES"):
            found.setdefault(join(url, tag.values["URI"]), tag.values["TYPE"].lower())
    return {url: kind for url, kind in found.items() if url == next(u for u in found if plain(u) == plain(url))}


async def _probe(fetcher: Fetcher, inspection: Inspection, followers: list[Follower], first: Exchange) -> None:
    """Asks about the presentation and each rendition, once all are there."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_READY_S):
            await asyncio.gather(*(follower.ready.wait() for follower in followers))
    await PresentationProbes(fetcher, inspection).multivariant(first)
    await asyncio.gather(*(Probes(fetcher, inspection, follower.state).run() for follower in followers))


async def _late(fetcher: Fetcher, inspection: Inspection, followers: list[Follower], until: float) -> None:
    """Shortly before the end, or when nothing more will come."""
    clock = asyncio.get_running_loop().time
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(until - _LATE_S):
            await asyncio.gather(*(follower.done.wait() for follower in followers))
    if inspection.url:
        again = Ask(inspection.url, headers=GZIP, timeout_s=_FIRST_S, max_bytes=MAX_PLAYLIST)
        inspection.multivariant_again(await fetcher.fetch(again))
    for follower in followers:
        await Probes(fetcher, inspection, follower.state).late(clock())
