"""Questions that no player asks: wrong directives, ranges, HEAD, preflight, what there is not. One by one."""

import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping

from edge.inspect import mp4
from edge.inspect.follower import MAX_MEDIA, MAX_PLAYLIST
from edge.inspect.http_client import Ask, Fetcher
from edge.inspect.inspection import Inspection
from edge.inspect.observations import Exchange
from edge.inspect.playlist import MediaText, Tag, read_media
from edge.inspect.rendition import RenditionState
from edge.inspect.rules import hints, http, iframes, reload, reports, variants
from edge.inspect.rules.reload import Wanted, timeout_s, with_query
from edge.inspect.urls import join
from edge.protocols.fmp4.reader import FragmentError

_UNCHANGED_TRIES = 6
_REQUEST_S = 10.0
_RANGE = 100
_RETAINED = 2  # parts and segments that are asked again after they were removed


class Probes:
    """The questions about one rendition."""

    def __init__(self, fetcher: Fetcher, inspection: Inspection, state: RenditionState) -> None:
        self._fetcher = fetcher
        self._inspection = inspection
        self._state = state

    async def run(self) -> None:
        """All that fit a playlist of its kind."""
        text = self._state.text
        if text is None:
            return
        steps: list[Callable[[], Awaitable[None]]] = [self._plainly, self._absent, self._ranges]
        if text.can_block and text.live:
            steps = [self._refused, self._stale, self._far, *steps, self._reports, self._worded, self._past_last]
        if text.control_us("CAN-SKIP-UNTIL") is not None and text.live:
            steps.append(self._delta)
        if text.ended:
            steps.append(self._ended)
        for step in steps:
            await step()

    async def _ask(
        self, url: str, method: str = "GET", headers: Mapping[str, str] = http.GZIP, wait_s: float = _REQUEST_S
    ) -> Exchange:
        most = MAX_PLAYLIST if ".m3u8" in url else MAX_MEDIA
        return await self._fetcher.fetch(Ask(url, method, headers, wait_s, most))

    async def _query(self, query: str) -> Exchange:
        """A playlist request with directives; a refusal is judged as one."""
        wait_s = timeout_s(self._state.target_s)
        exchange = await self._ask(with_query(self._state.url, query), wait_s=wait_s)
        http.refusal(exchange, self._state.target_s, self._inspection.findings.at(exchange))
        return exchange

    def _text(self) -> MediaText:
        assert self._state.text is not None  # run has looked; it never becomes None again
        return self._state.text

    # -- directives

    async def _refused(self) -> None:
        for name, query in (("BLOCK-PART-ALONE", "_HLS_part=0"), ("BLOCK-NOT-INTEGER", "_HLS_msn=first")):
            exchange = await self._query(query)
            reload.judge_refused(name, exchange, self._inspection.findings.at(exchange))

    async def _far(self) -> None:
        for far in (reload.far_segment, reload.far_part) if self._text().low_latency else (reload.far_segment,):
            text = self._text()
            wanted = far(text)
            exchange = await self._query(wanted.query)
            reload.judge_far(exchange, wanted, self._read(exchange), text, self._inspection.findings.at(exchange))

    async def _stale(self) -> None:
        text = self._text()
        exchange = await self._query(f"_HLS_msn={max(0, text.media_sequence - 10)}")
        reload.judge_stale(exchange, text, self._inspection.findings.at(exchange))

    async def _worded(self) -> None:
        """Directives the other way round, and a parameter that nobody knows."""
        for name in ("BLOCK-ORDER", "BLOCK-UNKNOWN-PARAM"):
            msn, part = self._text().edge
            wanted = Wanted(msn, part if self._text().low_latency else None)
            turned = "&".join(reversed(wanted.query.split("&")))
            exchange = await self._query(turned if name == "BLOCK-ORDER" else f"nearcast=1&{wanted.query}")
            if not await self._rests(exchange):
                note = self._inspection.findings.at(exchange)
                reload.judge_same(name, exchange, wanted, self._read(exchange), note)

    async def _rests(self, exchange: Exchange) -> bool:
        """Whether a request was refused because the rendition has gaps for now, however one asks for more of it."""
        if exchange.status not in (400, 503):
            return False
        plain = await self._query("")
        text = self._read(plain)
        if text is None or not text.ends_in_gap:
            return False
        msn, part = text.edge
        usual = await self._query(Wanted(msn, part if text.low_latency else None).query)
        return usual.status == exchange.status

    def _read(self, exchange: Exchange) -> MediaText | None:
        return read_media(exchange.body) if exchange.ok else None

    async def _past_last(self) -> None:
        text = self._text()
        finished = [segment for segment in text.whole if segment.parts and not segment.gap]
        if not finished:
            return
        last = finished[-1]
        exchange = await self._query(Wanted(last.msn, len(last.parts)).query)
        note = self._inspection.findings.at(exchange)
        read = self._read(exchange)
        if read is None and await self._rests(exchange):
            return
        if read is None:
            note("BLOCK-PAST-LAST", 0, exchange.outcome)
        else:
            reload.judge_target(Wanted(last.msn, len(last.parts)), read, note)

    async def _ended(self) -> None:
        exchange = await self._query(f"_HLS_msn={self._text().edge[0] + 1}&_HLS_part=0&_HLS_skip=YES")
        reload.judge_ended(exchange, self._read(exchange), self._inspection.findings.at(exchange))

    async def _delta(self) -> None:
        """A delta update between two full playlists that are equal."""
        for _ in range(_UNCHANGED_TRIES):
            full = await self._query("")
            update = await self._query("_HLS_skip=YES")
            again = await self._query("")
            if not (full.ok and again.ok) or full.body == again.body:
                break
        if full.ok and full.body == again.body:
            self._inspection.update(read_media(full.body), update)

    async def _reports(self) -> None:
        """What the reports of a playlist say is there, asked for."""
        exchange = await self._query("")
        text = self._read(exchange)
        for tag in text.reports if text is not None else []:
            position = reports.position(tag)
            if position is None:
                continue
            url = with_query(join(self._state.url, tag.values.get("URI", "")), Wanted(*position).query)
            answer = await self._ask(url, wait_s=timeout_s(self._state.target_s))
            reports.judge_answer(tag, answer, self._state.part_target_us, self._inspection.findings.at(exchange))

    # -- HTTP

    async def _plainly(self) -> None:
        """Without compression, with HEAD, and with a preflight."""
        exchange = await self._ask(self._state.url, headers=http.PLAIN)
        http.identity(exchange, self._inspection.findings.at(exchange))
        asked = {
            "Origin": http.ORIGIN,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "range",
        }
        exchange = await self._ask(self._state.url, "OPTIONS", asked)
        http.preflight(exchange, self._inspection.findings.at(exchange))

    async def _absent(self) -> None:
        """A segment and a part that never were."""
        text = self._text()
        known = next((segment.uri for segment in reversed(text.whole) if segment.uri), "")
        for uri, judge in ((known, self._no_segment), (text.hint(), self._no_part)):
            if uri:
                stem, dot, extension = uri.partition("?")[0].rpartition(".")
                exchange = await self._ask(join(self._state.url, f"{stem}-nearcast-absent{dot}{extension}"))
                http.refusal(exchange, self._state.target_s, self._inspection.findings.at(exchange))
                judge(exchange)

    def _no_segment(self, exchange: Exchange) -> None:
        http.absent(exchange, self._inspection.findings.at(exchange))

    def _no_part(self, exchange: Exchange) -> None:
        hints.judge_unknown(exchange, self._state.target_s, self._inspection.findings.at(exchange))

    async def _ranges(self) -> None:
        """Ranges and HEAD of the segment that was listed last."""
        segments = [segment for segment in self._text().whole if not segment.gap and segment.byterange is None]
        if not segments:
            return
        url = join(self._state.url, segments[-1].uri)
        whole = await self._ask(url)
        size = len(whole.body)
        if not whole.ok or size < 2 * _RANGE:
            return
        note_at = self._inspection.findings.at
        headers = {**http.PLAIN, "Range": f"bytes={_RANGE}-{2 * _RANGE - 1}"}
        exchange = await self._ask(url, headers=headers)
        http.ranged(exchange, whole.body, _RANGE, 2 * _RANGE, note_at(exchange))
        exchange = await self._ask(url, headers={**http.PLAIN, "Range": f"bytes={size}-"})
        http.beyond(exchange, size, note_at(exchange))
        exchange = await self._ask(url, "HEAD", http.PLAIN)
        http.head(exchange, whole, note_at(exchange))

    # -- later

    async def late(self, now: float) -> None:
        """The playlist and initialisation segments once more, and parts that were removed not long ago."""
        if self._state.text is not None and self._state.text.live:
            exchange = await self._ask(self._state.url)
            self._inspection.playlist(self._state, exchange)
        for uri in [uri for uri in self._state.init_bodies if "#" not in uri][:_RETAINED]:
            exchange = await self._ask(join(self._state.url, uri))
            self._inspection.init_again(self._state, uri, exchange)
        recent = [uri for uri, at in self._state.vanished if now - at < 2.5 * self._state.target_s]
        for uri in recent[:_RETAINED]:
            exchange = await self._ask(join(self._state.url, uri))
            if not exchange.ok:
                self._inspection.findings.at(exchange)("PART-RETENTION", 0, exchange.outcome)


@dataclasses.dataclass(frozen=True, slots=True)
class PresentationProbes:
    """The questions about the presentation as a whole."""

    fetcher: Fetcher
    inspection: Inspection

    async def multivariant(self, exchange: Exchange) -> None:
        """What only a live presentation owes, of how the multivariant playlist came; and what TLS offers."""
        states = list(self.inspection.renditions.values())
        texts = [state.text for state in states if state.text is not None]
        note = self.inspection.findings.at(exchange)
        if self.inspection.text is not None and any(text.live for text in texts):
            http.multivariant_cache(exchange, note)
        low_latency = any(text.low_latency for text in texts)
        if low_latency and exchange.url.startswith("https:") and not await self.fetcher.offers_http2(exchange.url):
            note("HTTP-2", 0, "TLS offers HTTP/1.1 only")
        text = self.inspection.text
        if text is None:
            return
        pictures = any(variant.has_video for variant in text.variants)
        if texts and all(one.ended for one in texts) and pictures and not text.iframes:
            note("IFRAME-PRESENT", 0, "no EXT-X-I-FRAME-STREAM-INF")
        if text.steering is not None:
            await self._steering(text.steering)
        for tag in text.iframes:
            await self._iframes(tag)

    async def _steering(self, tag: Tag) -> None:
        uri, manifest = tag.values.get("SERVER-URI", ""), None
        exchange = await self._get(join(self.inspection.url, uri)) if uri else None
        if exchange is not None and exchange.ok:
            try:
                manifest = json.loads(exchange.body)
            except (ValueError, RecursionError):
                manifest = None
        assert self.inspection.text is not None  # it has the tag
        note = self.inspection.findings.at(exchange or Exchange(self.inspection.url))
        variants.check_steering(tag, manifest, self.inspection.text.variants, note)

    async def _iframes(self, tag: Tag) -> None:
        uri = tag.values.get("URI")
        if not uri:
            return
        url = join(self.inspection.url, uri)
        exchange = await self._get(url)
        note = self.inspection.findings.at(exchange)
        if not exchange.ok:
            note("MV-PLAYLIST-200", 0, exchange.outcome)
            return
        text = read_media(exchange.body)
        http.playlist(exchange, note)
        states = [state for state in self.inspection.renditions.values() if state.text is not None]
        iframes.check(text, states[0].target_s if states else None, note)
        await self._iframe(url, text)
        if text.live and any(state.text is not None and state.text.can_block for state in states):
            answer = await self._get(with_query(url, Wanted(text.edge[0]).query), timeout_s(text.target_s or 0))
            iframes.judge_block(answer, text, self.inspection.findings.at(answer))

    async def _iframe(self, url: str, text: MediaText) -> None:
        """Looks into one of the I-frames."""
        listed = [segment for segment in text.whole if segment.map_uri and not segment.gap]
        if not listed or "#" in listed[-1].map_uri:
            return
        segment = listed[-1]
        init = await self._get(join(url, segment.map_uri))
        headers = dict(http.GZIP)
        if segment.byterange is not None:
            start = segment.byterange[1] or 0
            headers["Range"] = f"bytes={start}-{start + segment.byterange[0] - 1}"
        picture = await self.fetcher.fetch(Ask(join(url, segment.uri), headers=headers, timeout_s=_REQUEST_S))
        note, line = self.inspection.findings.at(picture), segment.line.number if segment.line is not None else 0
        if not init.ok or not picture.ok:
            note("SEG-200", line, f"{init.outcome}, {picture.outcome}")
            return
        try:
            tracks = {track.track_id: track for track in mp4.read_tracks(init.body)}
            iframes.check_media(mp4.read_media(picture.body, tracks), tracks, line, note)
        except FragmentError as error:
            note("IFRAME-MEDIA", line, error.detail)

    async def _get(self, url: str, wait_s: float = _REQUEST_S) -> Exchange:
        return await self.fetcher.fetch(Ask(url, headers=http.GZIP, timeout_s=wait_s, max_bytes=MAX_PLAYLIST))
