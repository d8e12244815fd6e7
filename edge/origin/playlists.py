"""Playlists of what is stored: from windows and records to the values that `edge.protocols.hls` renders."""

import dataclasses
import enum
import math
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from appliance.contracts.media import SOURCE, Broadcast, Init, Rendition
from appliance.contracts.moments import Moment
from edge.origin.stored import MICRO, StoredPart, StoredSegment
from edge.origin.window import RenditionWindow
from edge.protocols.hls.media import DateRange, MediaPlaylist, Part, RenditionReport, Segment, ServerControl
from edge.protocols.hls.multivariant import AudioRendition, IFrameVariant, MultivariantPlaylist, Variant
from edge.protocols.hls.reload import WHOLE

_FIRST_BANDWIDTH = 2_000_000  # what a player starts with is near this [Apple 1.32]
_GROUP = "audio"
_CLASSIC_SEGMENTS = 12  # of a broadcast that is only on disk any more


class Face(enum.Enum):
    """What a presentation offers whom: the file below /live/CHANNEL/, and its media playlists' file."""

    LIVE = "index.m3u8"
    CLASSIC = "classic.m3u8"  # neither low latency nor a long playlist
    AUDIO = "audio.m3u8"  # the sound alone
    I_FRAMES = "iframes.m3u8"  # only among the media playlists

    @property
    def playlist(self) -> str:
        """File name of its media playlists."""
        return Face.LIVE.value if self is Face.AUDIO else self.value


def server_control(broadcast: Broadcast) -> ServerControl:
    """The same for every rendition of a broadcast (6.2.4): hold-backs 3 targets, skip boundary 6."""
    target_us = broadcast.target_duration_s * MICRO
    return ServerControl(
        can_block_reload=True,
        part_hold_back_us=3 * part_target_us(broadcast),
        hold_back_us=3 * target_us,
        can_skip_until_us=6 * target_us,
        can_skip_date_ranges=True,
    )


def part_target_us(broadcast: Broadcast) -> int:
    """PART-TARGET, fixed for the broadcast."""
    return round(broadcast.part_target_s * MICRO)


def skippable(window: RenditionWindow, broadcast: Broadcast) -> int:
    """How many segments a delta update leaves out (6.2.5.1). Their lines never change any more."""
    if window.ended:
        return 0
    return window.ended_before(server_control(broadcast).can_skip_until_us)


def date_ranges(moments: Iterable[Moment], head_ms: int) -> tuple[DateRange, ...]:
    """What happened since `head_ms`, the date of a playlist's first segment (4.4.5.1)."""
    return tuple(
        DateRange(moment.moment_id, f"nearcast.{moment.kind}", moment.at_ms, (("X-TEXT", moment.text),))
        for moment in moments
        if moment.at_ms >= head_ms
    )


def gone(moments: Iterable[Moment], head_ms: int, broadcast: Broadcast) -> tuple[str, ...]:
    """Ids of what happened shortly before a playlist's first segment: a client may know it yet (6.2.5.1)."""
    since_ms = head_ms - server_control(broadcast).can_skip_until_us // 1000
    return tuple(moment.moment_id for moment in moments if since_ms <= moment.at_ms < head_ms)


def media_playlist(
    window: RenditionWindow, broadcast: Broadcast, others: Mapping[str, RenditionWindow], first: int = 0
) -> MediaPlaylist:
    """The playlist of a rendition, with the segments from index `first` on. `others`: the windows to report on.

    The line of a finished segment appears with the first part of the next one: a playlist that ends in
    a whole segment makes players ask for a whole segment and wait for all of it.
    """
    stored = list(window.listed(first))
    segments: list[Segment] = []
    age_us = -sum(window.micros(segment.ticks) for segment in stored)
    init = window.segments[first - 1].init if first else None
    for index, segment in enumerate(stored):
        age_us += window.micros(segment.ticks)
        with_parts = -age_us < 3 * broadcast.target_duration_s * MICRO
        late = index == len(stored) - 1 and not (window.ended or segment.gap or segment.released)
        finished = segment.complete and not late
        segments.append(_segment(window, segment, finished, with_parts, segment.init != init))
        init = segment.init
    return dataclasses.replace(
        _frame(window, broadcast),
        segments=tuple(segments),
        part_target_us=part_target_us(broadcast),
        hint_uri="" if window.ended else f"p{window.next_serial}.m4s",
        reports=() if window.ended else _reports(others),
    )


def i_frame_playlist(window: RenditionWindow, broadcast: Broadcast, first: int = 0) -> MediaPlaylist:
    """The first picture of each finished segment, for trick play (4.4.3.6)."""
    init = window.segments[first - 1].init if first else None
    segments: list[Segment] = []
    for segment in window.listed(first):
        if segment.complete:
            segments.append(i_frame(window, segment, segment.init != init))
            init = segment.init
    return dataclasses.replace(_frame(window, broadcast), segments=tuple(segments), i_frames_only=True)


def classic_playlist(window: RenditionWindow, broadcast: Broadcast) -> MediaPlaylist:
    """Finished segments of the last minute, for players that know nothing of low latency or long playlists.

    One behind a discontinuity begins with its initialisation section: VLC 3 begins a demuxer with it and does not
    look at EXT-X-MAP again, so that it would end there.
    """
    stored = [segment for segment in window.in_memory() if segment.complete]
    if not stored:
        stored = list(window.listed(max(0, len(window.segments) - _CLASSIC_SEGMENTS)))
    segments: list[Segment] = []
    init = None
    for segment in stored:
        line = _segment(window, segment, True, False, segment.init != init)
        if segment.discontinuity and not segment.released:
            line = dataclasses.replace(line, uri=f"d{segment.msn}.m4s")
        segments.append(line)
        init = segment.init
    return MediaPlaylist(
        target_duration_s=broadcast.target_duration_s,
        segments=tuple(segments),
        media_sequence=stored[0].msn if stored else 0,
        discontinuity_sequence=window.discontinuity_sequence(stored[0].msn) if stored else 0,
        ended=window.ended,
    )


def _frame(window: RenditionWindow, broadcast: Broadcast) -> MediaPlaylist:
    """What every playlist of a rendition says besides its segments."""
    head = next(window.listed(), None)
    return MediaPlaylist(
        target_duration_s=broadcast.target_duration_s,
        media_sequence=head.msn if head is not None else 0,
        discontinuity_sequence=window.discontinuity_sequence(head.msn) if head is not None else 0,
        server_control=server_control(broadcast),
        ended=window.ended,
    )


def settled_segment(window: RenditionWindow, stored: StoredSegment, new_map: bool) -> Segment:
    """A segment that is behind the skip boundary, in the media playlist."""
    return _segment(window, stored, True, False, new_map)


def _segment(
    window: RenditionWindow, stored: StoredSegment, finished: bool, with_parts: bool, new_map: bool
) -> Segment:
    return Segment(
        uri=f"s{stored.msn}.m4s" if finished else "",
        duration_us=window.micros(stored.ticks) if finished else None,
        pdt_ms=stored.pdt_us // 1000,
        discontinuity=stored.discontinuity,
        gap=stored.gap or (finished and stored.holed),
        map_uri=f"i{stored.init}.mp4" if new_map else "",
        parts=tuple(_part(window, part) for part in stored.parts if part.closed) if with_parts else (),
    )


def i_frame(window: RenditionWindow, stored: StoredSegment, new_map: bool) -> Segment:
    """A segment's line in the I-frame playlist; a gap where it does not begin with a picture of its own."""
    line = _segment(window, stored, True, False, new_map)
    is_key = stored.key_size() > 0
    return dataclasses.replace(line, uri=f"k{stored.msn}.m4s", gap=line.gap or not is_key)


def _part(window: RenditionWindow, part: StoredPart) -> Part:
    return Part(f"p{part.serial}.m4s", window.part_micros(part), part.independent, part.gap)


def _reports(others: Mapping[str, RenditionWindow]) -> tuple[RenditionReport, ...]:
    found = []
    for name in sorted(others):
        position = others[name].position
        if position is not None:
            last_part = 0 if position.part == WHOLE else position.part
            found.append(RenditionReport(f"../{name}/index.m3u8", position.msn, last_part))
    return tuple(found)


def multivariant(
    broadcast: Broadcast,
    renditions: Iterable[tuple[Rendition, RenditionWindow]],
    resting: Collection[str] = (),
    face: Face = Face.LIVE,
) -> MultivariantPlaylist:
    """The multivariant playlist of the listed renditions that have media. URIs are relative to /live/CHANNEL/.

    `resting`: those that have gaps until they are asked for. Players do not begin with one.

    Of a picture or a sound that has stopped, because the encoder came back without it, nothing is listed: players
    would wait for its next part.

    Listed are those of the broadcast's ladder and its sound. Others may be in the log, such as a source that
    players cannot show: their playlists exist for whoever knows their names.
    """
    names = listed(broadcast)
    given = {record.name: (record, window) for record, window in renditions}
    measured = given[SOURCE][0].frame_rate if SOURCE in given else (0, 1)
    ready = {name: one for name, one in given.items() if name in names}
    sound = ready.pop(broadcast.audio, None)
    if face is Face.AUDIO or (sound is not None and broadcast.has_audio and not broadcast.has_video):
        ready.clear()
    if ready and broadcast.has_video and not broadcast.has_audio:
        sound = None
    place = _Place(f"../../media/{broadcast.broadcast_id}", face.playlist)
    asleep = {place.uri(name) for name in resting}
    pictures = tuple(_i_frames(place, record, window) for record, window in ready.values() if _is_picture(record))
    captions = broadcast.has_captions
    if sound is None:
        variants = [_variant(place, record, window, None, measured) for record, window in ready.values()]
        return MultivariantPlaylist(_ordered(variants, asleep), i_frames=pictures, captions=captions)
    if not ready:
        return MultivariantPlaylist((_variant(place, sound[0], sound[1], None, measured),))
    variants = [_variant(place, record, window, sound, measured) for record, window in ready.values()]
    audio_format = sound[0].inits[-1].audio
    channels = audio_format.channels if audio_format is not None else 2
    media = AudioRendition(place.uri(broadcast.audio), _GROUP, "Main", channels=channels)
    return MultivariantPlaylist(_ordered(variants, asleep), (media,), i_frames=pictures, captions=captions)


class _Place(NamedTuple):
    """Where media playlists lie, relative to the multivariant playlist."""

    base: str
    playlist: str

    def uri(self, name: str, playlist: str = "") -> str:
        return f"{self.base}/{name}/{playlist or self.playlist}"


def _is_picture(record: Rendition) -> bool:
    return record.inits[-1].video is not None


def _i_frames(place: _Place, record: Rendition, window: RenditionWindow) -> IFrameVariant:
    init = record.inits[-1]
    known = [(8 * size, segment.ticks) for segment in window.in_memory() if (size := segment.key_size())]
    peak = max((bits * record.timescale // ticks for bits, ticks in known if ticks), default=record.bandwidth)
    ticks = sum(ticks for _, ticks in known)
    average = sum(bits for bits, _ in known) * record.timescale // ticks if ticks else peak
    return IFrameVariant(
        place.uri(record.name, Face.I_FRAMES.playlist),
        max(1, peak),
        max(1, average),
        init.video.codec if init.video is not None else "",
        _resolution(init),
    )


def _resolution(init: Init) -> tuple[int, int] | None:
    if init.video is None:
        return None
    across, down = init.video.sample_aspect
    width = round(init.video.width * across / down) if across > 0 < down else init.video.width
    return width, init.video.height


def listed(broadcast: Broadcast) -> set[str]:
    """The renditions that viewers may be offered."""
    return {*broadcast.ladder, broadcast.audio}


def _variant(
    place: _Place,
    record: Rendition,
    window: RenditionWindow,
    sound: tuple[Rendition, RenditionWindow] | None,
    measured: tuple[int, int],
) -> Variant:
    """`measured` is the source's frame rate, for pictures that do not tell theirs."""
    init = record.inits[-1]
    codecs = _codecs(init)
    bandwidth = record.bandwidth
    average = average_bandwidth(record, window)
    if sound is not None:
        codecs += _codecs(sound[0].inits[-1])
        bandwidth += sound[0].bandwidth
        average += average_bandwidth(*sound)
    rate = 0
    if init.video is not None:
        frames, per = init.video.frame_rate if init.video.frame_rate[0] else measured
        rate = round(1000 * frames / per) if per else 0
    return Variant(
        uri=place.uri(record.name),
        bandwidth=bandwidth,
        average_bandwidth=min(average, bandwidth),
        codecs=",".join(codecs),
        resolution=_resolution(init),
        frame_rate_milli=rate,
        audio=_GROUP if sound is not None else "",
    )


def _codecs(init: Init) -> list[str]:
    formats = (init.video, init.audio)
    return [one.codec for one in formats if one is not None]


def average_bandwidth(record: Rendition, window: RenditionWindow) -> int:
    """Bit/s over the finished segments in memory; the declared bandwidth before there is one."""
    whole = [segment for segment in window.in_memory() if segment.has_media]
    ticks = sum(segment.ticks for segment in whole)
    if not ticks:
        return record.bandwidth
    bits = 8 * sum(segment.size for segment in whole)
    return max(1, bits * record.timescale // ticks)


def _ordered(variants: list[Variant], asleep: Collection[str]) -> tuple[Variant, ...]:
    """Best first, but before all the one nearest to 2 Mbit/s: players begin with the first."""
    variants.sort(key=lambda variant: -variant.bandwidth)
    if not variants:
        return ()
    awake = [variant for variant in variants if variant.uri not in asleep] or variants
    first = min(awake, key=lambda variant: abs(math.log(max(1, variant.bandwidth) / _FIRST_BANDWIDTH)))
    variants.remove(first)
    return (first, *variants)
