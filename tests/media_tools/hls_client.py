"""A player that keeps everything: follows every rendition part by part and remembers when each came.

It reads playlists with its own few lines, so that the product is not checked with the product.
"""

import asyncio
import hashlib
import itertools
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self, TypeVar
from urllib.parse import urljoin

import aiohttp

_Result = TypeVar("_Result")

_RETRY_S = 0.1
_REQUEST_S = 12.0
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')


@dataclass(frozen=True, slots=True)
class ListedPart:
    """A part as a playlist names it."""

    msn: int
    index: int
    uri: str
    duration: float
    init: str
    independent: bool = False


@dataclass(slots=True)
class MediaPlaylist:
    """What one media playlist says."""

    parts: list[ListedPart] = field(default_factory=list)
    whole: dict[int, tuple[str, float, str]] = field(default_factory=dict)  # msn -> uri, duration, init
    gaps: set[int] = field(default_factory=set)
    discontinuities: set[int] = field(default_factory=set)
    first: int = 0
    next_msn: int = 0
    next_part: int = 0
    part_target: float = 0.0
    target: int = 0
    ended: bool = False


def attributes(text: str) -> dict[str, str]:
    """An attribute list."""
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(text)}


class _Reader:
    """Reads a media playlist line by line."""

    def __init__(self) -> None:
        self.found = MediaPlaylist()
        self._init = ""
        self._index = 0
        self._duration = 0.0
        self._gap = False

    def line(self, line: str) -> None:
        """Takes one line."""
        tag, _, rest = line.partition(":")
        if tag in ("#EXT-X-MEDIA-SEQUENCE", "#EXT-X-TARGETDURATION", "#EXT-X-PART-INF", "#EXT-X-ENDLIST"):
            self._fact(tag, rest)
        elif tag == "#EXT-X-MAP":
            self._init = attributes(rest)["URI"]
        elif tag == "#EXT-X-DISCONTINUITY":
            self.found.discontinuities.add(self.found.next_msn)
        elif tag == "#EXT-X-GAP":
            self._gap = True
        elif tag == "#EXT-X-PART":
            self._part(attributes(rest))
        elif tag == "#EXTINF":
            self._duration = float(rest.split(",")[0])
        elif line and not line.startswith("#"):
            self._segment(line)

    def _fact(self, tag: str, rest: str) -> None:
        found = self.found
        if tag == "#EXT-X-MEDIA-SEQUENCE":
            found.first = found.next_msn = int(rest)
        elif tag == "#EXT-X-TARGETDURATION":
            found.target = int(rest)
        elif tag == "#EXT-X-PART-INF":
            found.part_target = float(attributes(rest)["PART-TARGET"])
        else:
            found.ended = True

    def _part(self, named: dict[str, str]) -> None:
        found, independent = self.found, named.get("INDEPENDENT") == "YES"
        duration = float(named["DURATION"])
        found.parts.append(ListedPart(found.next_msn, self._index, named["URI"], duration, self._init, independent))
        self._index += 1
        found.next_part = self._index

    def _segment(self, uri: str) -> None:
        found = self.found
        found.whole[found.next_msn] = (uri, self._duration, self._init)
        if self._gap:
            found.gaps.add(found.next_msn)
        found.next_msn, found.next_part, self._index, self._gap = found.next_msn + 1, 0, 0, False


def parse_media(text: str) -> MediaPlaylist:
    """Reads a media playlist."""
    reader = _Reader()
    for line in text.splitlines():
        reader.line(line)
    return reader.found


@dataclass(frozen=True, slots=True)
class Unit:
    """Something downloaded: part `index` of segment `msn`, or a whole segment (index -1)."""

    msn: int
    index: int
    uri: str
    duration: float
    init: str
    data: bytes
    at: float


class Track:
    """One rendition as downloaded so far."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url
        self.units: list[Unit] = []
        self.inits: dict[str, bytes] = {}
        self.gaps: set[int] = set()
        self.discontinuities: set[int] = set()
        self.firsts: list[int] = []
        self.failures: list[str] = []
        self.wrong: list[str] = []
        self.playlist = MediaPlaylist()
        self.seen: dict[tuple[int, int], str] = {}

    @property
    def seconds(self) -> float:
        """Duration of all that was downloaded."""
        return sum(unit.duration for unit in self.units)

    def streams(self) -> Iterator[bytes]:
        """One playable file for each run of the same initialisation segment."""
        run: list[Unit] = []
        for unit in self.units:
            if run and unit.init != run[-1].init:
                yield self.inits[run[0].init] + b"".join(one.data for one in run)
                run = []
            run.append(unit)
        if run:
            yield self.inits[run[0].init] + b"".join(one.data for one in run)

    def segments(self) -> dict[int, float]:
        """Downloaded duration by msn."""
        found: dict[int, float] = {}
        for unit in self.units:
            found[unit.msn] = found.get(unit.msn, 0.0) + unit.duration
        return found

    def longest_wait(self, after: float) -> float:
        """Longest time in seconds between two arrivals, of those that ended later than `after`."""
        times = [unit.at for unit in self.units]
        return max((b - a for a, b in itertools.pairwise(times) if b > after), default=0.0)

    def check(self, playlist: MediaPlaylist) -> None:
        """Notes what a playlist may never do against the ones before it."""
        before = self.playlist
        if playlist.first < before.first:
            self.wrong.append(f"media sequence went back from {before.first} to {playlist.first}")
        if (playlist.next_msn, playlist.next_part) < (before.next_msn, before.next_part):
            self.wrong.append(
                f"end went back from {before.next_msn}.{before.next_part} "
                f"to {playlist.next_msn}.{playlist.next_part}"
            )
        for part in playlist.parts:
            known = self.seen.setdefault((part.msn, part.index), part.uri)
            if known != part.uri:
                self.wrong.append(f"part {part.msn}.{part.index} was {known}, is {part.uri}")
            if part.duration > playlist.part_target + 1e-4:
                self.wrong.append(f"part {part.uri} lasts {part.duration}, target {playlist.part_target}")
        for msn, (uri, duration, _) in playlist.whole.items():
            if round(duration) > playlist.target:
                self.wrong.append(f"segment {uri} lasts {duration}, target {playlist.target}")
            if self.seen.setdefault((msn, -1), uri) != uri:
                self.wrong.append(f"segment {msn} changed its URI to {uri}")
        self.playlist = playlist
        self.gaps |= playlist.gaps
        self.discontinuities |= playlist.discontinuities


class HlsRecorder:
    """Follows every rendition of a channel until the broadcast ends or `close`. Use `async with`."""

    def __init__(self, url: str, *, only: Callable[[str], bool] = lambda _: True) -> None:
        """`url` of the multivariant playlist; `only` chooses renditions by name."""
        self.url = url
        self.tracks: dict[str, Track] = {}
        self.broadcast = ""
        self.first_at = 0.0
        self._only = only
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_REQUEST_S))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def start(self, deadline_s: float = 15.0) -> None:
        """Waits for the multivariant playlist, then follows its renditions."""
        until = time.monotonic() + deadline_s
        while True:
            status, body = await self._get(self.url)
            if status == 200:
                break
            assert time.monotonic() < until, f"{self.url} answers {status} after {deadline_s} s"
            await asyncio.sleep(_RETRY_S)
        self.first_at = time.monotonic()
        for uri in rendition_uris(body.decode()):
            name = uri.rsplit("/", 2)[-2]
            self.broadcast = uri.rsplit("/", 3)[-3]
            if self._only(name):
                self.tracks[name] = Track(name, urljoin(self.url, uri))
        self._tasks = [asyncio.ensure_future(self._follow(track)) for track in self.tracks.values()]

    async def wait_for(self, seconds: float, timeout_s: float, *, names: tuple[str, ...] = ()) -> None:
        """Until each rendition holds `seconds` of media, or all are over. AssertionError at the timeout."""
        until = time.monotonic() + timeout_s
        chosen = [self.tracks[name] for name in names] if names else list(self.tracks.values())
        while any(track.seconds < seconds for track in chosen) and not self.over:
            have = {track.name: round(track.seconds, 2) for track in chosen}
            assert time.monotonic() < until, f"after {timeout_s} s only {have}"
            await asyncio.sleep(0.05)
            self.raise_failure()

    @property
    def over(self) -> bool:
        """Whether every rendition said that it ended."""
        return all(task.done() for task in self._tasks)

    async def wait_over(self, timeout_s: float) -> None:
        """Until every rendition ended."""
        _, late = await asyncio.wait(self._tasks, timeout=timeout_s)
        assert not late, f"not ended after {timeout_s} s: {list(self.tracks)}"
        self.raise_failure()

    def raise_failure(self) -> None:
        """Passes on what a follower failed with."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def meanwhile(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        """Runs `work` in a thread while downloading goes on."""
        return await asyncio.to_thread(work, *arguments)

    async def _follow(self, track: Track) -> None:
        done: tuple[int, int] = (-1, -1)
        query = ""
        while True:
            status, body = await self._get(track.url + query)
            if status != 200:
                track.failures.append(f"{query} {status}")
                query = ""
                await asyncio.sleep(_RETRY_S)
                continue
            playlist = parse_media(body.decode())
            track.check(playlist)
            track.firsts.append(playlist.first)
            done = await self._take(track, playlist, done)
            if playlist.ended:
                return
            query = f"?_HLS_msn={playlist.next_msn}&_HLS_part={playlist.next_part}"

    async def _take(self, track: Track, playlist: MediaPlaylist, done: tuple[int, int]) -> tuple[int, int]:
        with_parts = {part.msn for part in playlist.parts}
        wanted: list[tuple[int, int, str, float, str]] = [
            (msn, -1, uri, duration, init)
            for msn, (uri, duration, init) in playlist.whole.items()
            if msn not in with_parts and msn not in playlist.gaps and msn > done[0]
        ]
        wanted += [
            (part.msn, part.index, part.uri, part.duration, part.init)
            for part in playlist.parts
            if (part.msn, part.index) > done
        ]
        for msn, index, uri, duration, init in sorted(wanted):
            if init not in track.inits:
                track.inits[init] = await self._need(track, init)
            data = await self._need(track, uri)
            track.units.append(Unit(msn, index, uri, duration, init, data, time.monotonic()))
            done = (msn, index if index >= 0 else 1 << 30)
        return done

    async def _need(self, track: Track, uri: str) -> bytes:
        for _ in range(100):
            status, body = await self._get(urljoin(track.url, uri))
            if status == 200:
                return body
            track.failures.append(f"{uri} {status}")
            await asyncio.sleep(_RETRY_S)
        raise AssertionError(f"{track.name}: {uri} can't be had: {track.failures[-1]}")

    async def _get(self, url: str) -> tuple[int, bytes]:
        assert self._session is not None
        try:
            async with self._session.get(url) as response:
                return response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0, b""

    async def verify_again(self) -> list[str]:
        """Asks for parts that are still listed once more; names those whose bytes are different now."""
        changed = []
        for track in self.tracks.values():
            listed = {part.uri for part in track.playlist.parts}
            for unit in [one for one in track.units if one.uri in listed][-10:]:
                data = await self._need(track, unit.uri)
                if hashlib.sha256(data).digest() != hashlib.sha256(unit.data).digest():
                    changed.append(f"{track.name}/{unit.uri}")
        return changed


def rendition_uris(text: str) -> list[str]:
    """URIs of the variants and audio renditions of a multivariant playlist."""
    found = []
    for line in text.splitlines():
        if line.startswith("#EXT-X-MEDIA:"):
            uri = attributes(line.partition(":")[2]).get("URI")
            if uri:
                found.append(uri)
        elif line and not line.startswith("#"):
            found.append(line)
    return list(dict.fromkeys(found))
