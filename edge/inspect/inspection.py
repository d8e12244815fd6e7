"""Puts the rules together: takes what was observed of a presentation, in order, and collects the findings."""

import dataclasses
import zlib

from edge.inspect import mp4
from edge.inspect.multivariant import MultivariantText, VariantLine, read_multivariant
from edge.inspect.observations import Exchange, Findings, Note
from edge.inspect.playlist import MediaText, SegmentLine, read_media
from edge.inspect.rendition import SEGMENTS, RenditionState
from edge.inspect.rules import (
    across,
    dateranges,
    delta,
    hints,
    http,
    low_latency,
    media,
    reload,
    reports,
    sequence,
    syntax,
    variants,
)  # fmt: skip
from edge.inspect.rules.reload import Wanted
from edge.inspect.urls import join, plain
from edge.protocols.fmp4.reader import FragmentError

MICRO = 1_000_000
_SLOW_S = 1.0


class Inspection:
    """One watch. `began` is the clock's value at its beginning; later times come with the exchanges."""

    def __init__(self, began: float) -> None:
        self.findings = Findings(began)
        self.text: MultivariantText | None = None
        self.url = ""
        self.renditions: dict[str, RenditionState] = {}  # by plain URL
        self.connects: list[float] = []
        self._named: set[str] | None = None  # by the multivariant playlist when it was read again
        self._unreported: list[tuple[str, Exchange, str]] = []

    # -- playlists

    def multivariant(self, exchange: Exchange) -> MultivariantText:
        """Takes the multivariant playlist."""
        note = self._note(exchange)
        http.playlist(exchange, note)
        self.text, self.url = read_multivariant(exchange.body), exchange.url
        variants.check(self.text, note)
        return self.text

    def multivariant_again(self, exchange: Exchange) -> None:
        """The multivariant playlist near the end: renditions may have come and gone since."""
        if exchange.ok and self.text is not None:
            text = read_multivariant(exchange.body)
            named = [variant.uri for variant in text.variants] + [tag.values.get("URI", "") for tag in text.media]
            self._named = {plain(join(exchange.url, uri)) for uri in named}

    def rendition(self, url: str, kind: str) -> RenditionState:
        """The state of a playlist, made on the first call."""
        return self.renditions.setdefault(plain(url), RenditionState(url, kind))

    def playlist(
        self, state: RenditionState, exchange: Exchange, wanted: Wanted | None = None, *, follows: bool = True
    ) -> MediaText | None:
        """Takes a full media playlist. `follows` when it was asked after the one before it was there.

        None when it could not be had.
        """
        note = self._note(exchange)
        if wanted is not None:
            reload.judge_status(exchange, state.target_s, note)
            http.refusal(exchange, state.target_s, note)
        if not exchange.ok:
            return None
        text = read_media(exchange.body)
        http.playlist(exchange, note)
        live = text.live
        http.media_playlist_cache(exchange, text.target_s or 0, blocking=wanted is not None, live=live, note=note)
        if text.skip is not None:
            delta.check(text, asked=False, note=note)
            return None
        self._contents(text, exchange, note)
        self._ages(state, text, exchange, note)
        if wanted is not None:
            reload.judge_target(wanted, text, note)
        if follows:
            if state.text is not None:
                sequence.compare(state.text, text, note)
                dateranges.compare(state.text, text, note)
            state.uris.check(text, note)
            state.cadence.observe(text, exchange, note)
            state.take(text, exchange.ended)
            self._hinted(state, text)
        return text

    def _hinted(self, state: RenditionState, text: MediaText) -> None:
        """Parts that came before they were listed."""
        for _, _, part in text.parts():
            came = state.early.pop(part.uri, None)
            if came is not None and part.uri in state.listed:
                self.part(state, part.uri, came)

    def _contents(self, text: MediaText, exchange: Exchange, note: Note) -> None:
        syntax.check(text, note)
        low_latency.check(text, note)
        dateranges.check(text, note)
        if len(self.renditions) > 1:
            own = plain(exchange.url)
            others = [url for url, state in self.renditions.items() if url != own and state.text is not None]
            missing = reports.check(text, exchange.url, others, note)
            if len(self._unreported) < SEGMENTS:
                self._unreported += [(other, exchange, f"none for {other}") for other in missing]

    def _ages(self, state: RenditionState, text: MediaText, exchange: Exchange, note: Note) -> None:
        """A report may be a part older than the playlist that contains it, not more (8216bis, 4.4.5.4).

        That playlist is no newer than its last part: a rendition that stands still reports as of then.
        """
        made = state.made_at(text.edge, exchange)
        for tag in text.reports:
            other = self.renditions.get(plain(join(exchange.url, tag.values.get("URI", ""))))
            known = other.went_to(made - (text.part_target_us or 0) / MICRO) if other is not None else None
            if known is not None:
                reports.judge_age(tag, known, note)

    def update(self, full: MediaText, exchange: Exchange) -> None:
        """Takes the answer to a request with _HLS_skip, made while the full playlist was `full`."""
        note = self._note(exchange)
        if exchange.ok:
            text = read_media(exchange.body)
            syntax.check(text, note)
            delta.check(text, asked=True, note=note)
            delta.compare(full, text, note)
        else:
            note("DELTA-ANSWERED", 0, exchange.outcome)

    # -- media

    def had(self, state: RenditionState, exchange: Exchange) -> bool:
        """Whether something that is listed could be had, as it must."""
        note = self._note(exchange)
        state.media_bytes += len(exchange.body)
        http.media(exchange, state.target_s, note)
        if exchange.truncated:
            return False
        if not exchange.ok:
            note("SEG-200", 0, exchange.outcome)
            return False
        if exchange.first - exchange.began > max(_SLOW_S, state.target_s / 2):
            note("SEG-200", 0, f"began only after {exchange.first - exchange.began:.2f} s")
        took = exchange.ended - exchange.first
        if took > 0 and len(exchange.body) > 1000:
            state.best_rate = max(state.best_rate, len(exchange.body) / took)
        return True

    def init(self, state: RenditionState, uri: str, exchange: Exchange) -> None:
        """Takes an initialisation segment."""
        if not self.had(state, exchange):
            return
        state.init_bodies[uri] = exchange
        try:
            state.inits[uri] = {track.track_id: track for track in mp4.read_tracks(exchange.body)}
        except FragmentError as error:
            self._note(exchange)("SEG-READABLE", 0, error.detail)

    def init_again(self, state: RenditionState, uri: str, exchange: Exchange) -> None:
        """The same initialisation segment once more."""
        known = state.init_bodies.get(uri)
        if known is not None and exchange.ok and zlib.crc32(known.body) != zlib.crc32(exchange.body):
            self._note(exchange)("MAP-IMMUTABLE", 0, f"{len(known.body)} bytes became {len(exchange.body)} others")

    def hint(self, state: RenditionState, uri: str, exchange: Exchange) -> None:
        """Takes the answer to a request for a hinted part."""
        state.hints[uri] = dataclasses.replace(exchange, body=b"")
        note = self._note(exchange)
        state.media_bytes += len(exchange.body)
        http.media(exchange, state.target_s, note, hinted=True)
        hints.judge_transfer(exchange, state.part_target_us, state.best_rate, note)
        if exchange.ok and uri in state.listed:
            self.part(state, uri, exchange)
        elif exchange.ok:
            state.early[uri] = exchange

    def part(self, state: RenditionState, uri: str, exchange: Exchange) -> None:
        """Looks into a listed part whose bytes came."""
        msn, index, part, map_uri = state.listed[uri]
        read = self._read(state, map_uri, exchange)
        if read is None or (msn, index) in state.parts:
            return
        state.parts_read += 1
        state.parts[msn, index] = read
        tracks = state.inits[map_uri]
        media.check_part(part, read, tracks, self._note(exchange))
        self._part_before(state, (msn, index), read, tracks)
        state.last_part = (msn, index), part, read, tracks, self._note(exchange)

    @staticmethod
    def _part_before(
        state: RenditionState, position: tuple[int, int], read: mp4.Media, tracks: media.Tracks
    ) -> None:
        """How long a part lasts is clear when the next one is there."""
        if state.last_part is None:
            return
        (msn, index), part, known, its_tracks, note = state.last_part
        follows = position in ((msn, index + 1), (msn + 1, 0)) and tracks is its_tracks
        lasts = media.untrue(part.duration_us, known, read, its_tracks) if follows else ""
        if lasts:
            note("PART-TRUE", part.line.number, f"DURATION {part.duration_us / MICRO:g}, {lasts}")

    def segment(self, state: RenditionState, segment: SegmentLine, exchange: Exchange) -> None:
        """Looks into a listed segment. Those of a rendition come in order."""
        if not self.had(state, exchange):
            return
        note, now = self._note(exchange), state.text
        if len(state.sizes) < SEGMENTS and segment.duration_us:
            state.sizes.append(variants.Size(segment.msn, len(exchange.body), segment.duration_us / MICRO))
        read = self._read(state, segment.map_uri, exchange)
        if read is None:
            return
        state.segments_read += 1
        tracks = state.inits[segment.map_uri]
        media.check_segment(segment, read, tracks, now.target_s or 0 if now is not None else 0, note)
        listed = _parts_of(segment)
        if listed and all(position in state.parts for position in listed):
            media.check_parts(segment, read, [state.parts[position] for position in listed], note)
        self._against_last(state, segment, read, note)
        start_s = media.start_s(read, tracks)
        if start_s is not None and len(state.seen) < SEGMENTS:
            date_s = None if segment.pdt_ms is None else segment.pdt_ms / 1000
            seen = across.Seen(segment.msn, segment.dsn, start_s, segment.duration_us / MICRO, date_s)
            state.seen.append(seen)
        state.last = segment, read, note

    def _against_last(self, state: RenditionState, segment: SegmentLine, read: mp4.Media, note: Note) -> None:
        if state.last is None or state.last[0].msn + 1 != segment.msn:
            return
        before, known, noted = state.last
        after = read if before.map_uri == segment.map_uri and not segment.discontinuity else None
        lasts = media.untrue(before.duration_us, known, after, state.inits[before.map_uri])
        if lasts:
            line = before.line.number if before.line is not None else 0
            noted("EXTINF-TRUE", line, f"EXTINF {before.duration_us / MICRO:g}, {lasts}")
        if before.map_uri != segment.map_uri:
            media.check_change(state.inits[before.map_uri], state.inits[segment.map_uri], segment, note)
        elif not segment.discontinuity:
            line = segment.line.number if segment.line is not None else 0
            media.check_contiguous(known, read, state.inits[segment.map_uri], line, note)

    def _read(self, state: RenditionState, map_uri: str, exchange: Exchange) -> mp4.Media | None:
        """Samples, None where the bytes are of a kind that is not looked into."""
        tracks = state.inits.get(map_uri)
        if tracks is None or (state.text is not None and "#EXT-X-KEY" in state.text.tags):
            return None
        try:
            return mp4.read_media(exchange.body, tracks)
        except FragmentError as error:
            self._note(exchange)("SEG-READABLE", 0, error.detail)
            return None

    # -- the end

    def finish(self, now: float) -> None:
        """The watch is over."""
        for other, exchange, value in self._unreported:
            if self._named is None or other in self._named:
                self._note(exchange)("REPORT-PRESENT", 0, value)
        for state in self.renditions.values():
            at = self._at(state.url, now)
            state.cadence.finish(at)
            for uri, exchange in state.hints.items():
                if uri in state.listed:
                    hints.judge_listed(exchange, self._note(exchange))
        stories = [
            across.Story(state.url, state.text, state.seen, state.came)
            for state in self.renditions.values()
            if state.text is not None and state.kind in ("variant", "audio")
        ]
        across.check(stories, self._at(self.url, now))
        self._round_trip(now)
        if self.text is not None:
            for variant in self.text.variants:
                self._variant(variant, self._at(self.url, now))

    def _variant(self, variant: VariantLine, note: Note) -> None:
        state = self.renditions.get(plain(join(self.url, variant.uri)))
        if state is None:
            return
        sound = self._sound(variant)
        sounding = [track for other in sound for track in other.tracks.values()]
        if state.tracks and all(other.tracks for other in sound):
            variants.check_media(variant, list(state.tracks.values()), sounding, note)
        rates = [
            8 * sum(one.size for one in other.sizes) / sum(one.length_s for one in other.sizes)
            for other in sound
            if other.sizes
        ]
        variants.check_peak(variant, state.sizes, state.target_s, max(rates, default=0.0), note)

    def _sound(self, variant: VariantLine) -> list[RenditionState]:
        """The audio renditions that go with a variant and have playlists of their own."""
        assert self.text is not None  # called with one of its variants
        group = variant.values.get("AUDIO")
        urls = [
            plain(join(self.url, tag.values["URI"]))
            for tag in self.text.media
            if tag.values.get("TYPE") == "AUDIO" and tag.values.get("GROUP-ID") == group and tag.values.get("URI")
        ]
        return [self.renditions[url] for url in urls if url in self.renditions]

    def _round_trip(self, now: float) -> None:
        targets = [state.part_target_us for state in self.renditions.values() if state.part_target_us]
        if targets and self.connects:
            trip_s = sorted(self.connects)[len(self.connects) // 2]
            if trip_s > min(targets) / MICRO:
                self.findings.note("PART-TARGET-RTT", self.url, 0, f"round trip {trip_s:.3f} s", now)

    def _note(self, exchange: Exchange) -> Note:
        if exchange.connect_s and len(self.connects) < SEGMENTS:
            self.connects.append(exchange.connect_s)
        return self.findings.at(exchange)

    def _at(self, url: str, now: float) -> Note:
        return lambda name, line, value: self.findings.note(name, url, line, value, now)


def _parts_of(segment: SegmentLine) -> list[tuple[int, int]]:
    """The places of a segment's parts, none unless all of them are listed and have bytes of their own."""
    parts = segment.parts
    whole = parts and abs(sum(part.duration_us for part in parts) - segment.duration_us) < 50_000
    if not whole or any(part.gap or part.byterange for part in parts):
        return []
    return [(segment.msn, index) for index in range(len(parts))]
