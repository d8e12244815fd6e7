"""Follows one rendition as a low-latency player does: blocking reloads, hinted parts, whole segments."""

import asyncio
import collections
import dataclasses
from typing import NamedTuple

from edge.inspect.http_client import Ask, Fetcher
from edge.inspect.inspection import Inspection
from edge.inspect.multivariant import number
from edge.inspect.observations import Exchange
from edge.inspect.playlist import MediaText, SegmentLine
from edge.inspect.rendition import HINTS, RenditionState
from edge.inspect.rules.http import GZIP
from edge.inspect.rules.reload import Wanted, timeout_s, with_query
from edge.inspect.urls import join

MAX_PLAYLIST = 8 << 20
MAX_MEDIA = 64 << 20
MAX_TOTAL = 1 << 30  # bytes of media of one watch
QUEUE = 256  # segments and parts that wait to be downloaded; more are left out, with a count
MAX_FAILURES = 10  # in a row; then the rendition is given up
FIRST_SEGMENTS = 3  # of those that are listed when a live watch begins
VOD_SEGMENTS = 60
RECHECKS = 3  # segments of a rendition that are asked for once more when they are removed
_PAUSE_S = 0.2
_MEDIA_S = 20.0


@dataclasses.dataclass(slots=True)
class Budget:
    """Bytes of media that the watch may still download, and how much was left out."""

    left: int = MAX_TOTAL
    left_out: int = 0


class Removed(NamedTuple):
    """A segment that is not listed any more."""

    uri: str


class Follower:
    """One rendition. `run` ends when the playlist does, when it is given up, or when it is cancelled."""

    def __init__(self, fetcher: Fetcher, inspection: Inspection, state: RenditionState, budget: Budget) -> None:
        self.state = state
        self.ready = asyncio.Event()  # the first playlist is there, or never will be
        self.done = asyncio.Event()  # nothing more will come
        self._fetcher = fetcher
        self._inspection = inspection
        self._budget = budget
        self._work: asyncio.Queue[str | SegmentLine | Removed] = asyncio.Queue(QUEUE)
        self._asked: collections.OrderedDict[str, None] = collections.OrderedDict()
        self._over = False
        self._hint = ""
        self._hinted = asyncio.Event()
        self._rechecks = 0
        self._queued = -1  # the last segment that was queued

    async def run(self) -> None:
        """Follows until there is nothing more."""
        try:
            if await self._begin():
                await asyncio.gather(self._reload(), self._download(), self._ask_hints())
        finally:
            self.done.set()
            self.ready.set()

    # -- playlists

    async def _playlist(self, wanted: Wanted | None = None) -> tuple[Exchange, MediaText | None]:
        url = self.state.url if wanted is None else with_query(self.state.url, wanted.query)
        wait_s = timeout_s(self.state.target_s) if wanted is not None else 10.0
        exchange = await self._fetcher.fetch(Ask(url, headers=GZIP, timeout_s=wait_s, max_bytes=MAX_PLAYLIST))
        return exchange, self._inspection.playlist(self.state, exchange, wanted)

    async def _begin(self) -> bool:
        exchange, text = await self._playlist()
        if text is None:
            self._inspection.findings.at(exchange)("MV-PLAYLIST-200", 0, exchange.outcome)
            return False
        whole = text.whole
        self._queued = (whole[0].msn if text.ended else whole[-FIRST_SEGMENTS:][0].msn) - 1 if whole else -1
        self._take(text)
        self.ready.set()
        return True

    async def _reload(self) -> None:
        failures = 0
        while self.state.text is not None and self.state.text.live and failures < MAX_FAILURES:
            before, known = self.state.text.edge, self.state.text
            wanted = self._wanted(self.state.text) if not failures else None
            if wanted is None:
                await asyncio.sleep(self._poll_s(failures))
            exchange, text = await self._playlist(wanted)
            if text is None:
                failures += 1
                if exchange.status in (404, 410) and wanted is None:
                    break  # it is over
                continue
            failures = 0
            self._take(text)
            self._recheck(known, text)
            if text.edge <= before:
                await asyncio.sleep(_PAUSE_S)
        self._over = True
        self._hinted.set()
        await self._work.put("")

    def _recheck(self, before: MediaText, after: MediaText) -> None:
        """The segment that was removed last must still be there: it has come a playlist's duration ago."""
        gone = [one for one in before.whole if one.msn < after.media_sequence and not one.gap]
        if gone and self._rechecks < RECHECKS and gone[-1].byterange is None:
            self._rechecks += 1
            self._put(Removed(gone[-1].uri))

    def _wanted(self, text: MediaText) -> Wanted | None:
        if not text.can_block:
            return None
        msn, part = text.edge
        return Wanted(msn, part if text.low_latency else None)

    def _poll_s(self, failures: int) -> float:
        text = self.state.text
        if text is not None and text.low_latency:
            part_s = max(_PAUSE_S, (text.part_target_us or 0) / 1e6)
            return part_s * failures if failures else part_s
        return max(_PAUSE_S, self.state.target_s / 2) * (1 + failures)

    def _take(self, text: MediaText) -> None:
        """Queues what is new of a playlist."""
        for segment, index, part in text.parts():
            new = segment.msn > self._queued and (segment.msn, index) not in self.state.parts
            if new and not part.gap and not part.byterange and self._ask_once(part.uri):
                self._put(part.uri)
        most = VOD_SEGMENTS if text.ended else QUEUE
        for segment in [one for one in text.whole if one.msn > self._queued][:most]:
            self._queued = segment.msn
            if not segment.gap:
                self._put(segment)
        hint = text.hint()
        if text.live and hint and hint not in self._asked and hint != self._hint:
            self._hint = hint
            self._hinted.set()

    def _ask_once(self, uri: str) -> bool:
        if uri in self._asked:
            return False
        self._asked[uri] = None
        while len(self._asked) > HINTS:
            self._asked.popitem(last=False)
        return True

    def _put(self, item: str | SegmentLine | Removed) -> None:
        try:
            self._work.put_nowait(item)
        except asyncio.QueueFull:
            self._budget.left_out += 1

    # -- media

    async def _download(self) -> None:
        while item := await self._work.get():
            if self._budget.left <= 0:
                self._budget.left_out += 1
            elif isinstance(item, str):
                await self._part(item)
            elif isinstance(item, Removed):
                self._inspection.had(self.state, await self._media(item.uri))
            else:
                await self._segment(item)

    async def _part(self, uri: str) -> None:
        known = self.state.listed.get(uri)
        if known is not None:
            await self._init(known[3])
            exchange = await self._media(uri)
            if self._inspection.had(self.state, exchange) and uri in self.state.listed:
                self._inspection.part(self.state, uri, exchange)

    async def _segment(self, segment: SegmentLine) -> None:
        await self._init(segment.map_uri)
        exchange = await self._media(segment.uri, segment.byterange)
        self._inspection.segment(self.state, segment, exchange)

    async def _init(self, uri: str) -> None:
        if uri and uri not in self.state.init_bodies:
            plain, _, span = uri.partition("#")
            length, _, offset = span.partition("@")
            wanted = (number(length), number(offset)) if number(length) else None
            self._inspection.init(self.state, uri, await self._media(plain, wanted))

    async def _media(self, uri: str, span: tuple[int, int | None] | None = None) -> Exchange:
        headers = dict(GZIP)
        if span is not None:
            headers["Range"] = f"bytes={span[1] or 0}-{(span[1] or 0) + span[0] - 1}"
        ask = Ask(join(self.state.url, uri), headers=headers, timeout_s=_MEDIA_S, max_bytes=MAX_MEDIA)
        exchange = await self._fetcher.fetch(ask)
        self._budget.left -= len(exchange.body)
        return exchange

    async def _ask_hints(self) -> None:
        """One request for each hinted part, made when it is hinted."""
        while not self._over:
            await self._hinted.wait()
            self._hinted.clear()
            text, hint = self.state.text, self._hint
            if text is None or not hint or self._budget.left <= 0 or not self._ask_once(hint):
                continue
            await self._init(text.segments[-1].map_uri if text.segments else "")
            wait_s = timeout_s(self.state.target_s)
            ask = Ask(join(self.state.url, hint), headers=GZIP, timeout_s=wait_s, max_bytes=MAX_MEDIA)
            exchange = await self._fetcher.fetch(ask)
            self._budget.left -= len(exchange.body)
            self._inspection.hint(self.state, hint, exchange)
