"""Playlists of what is stored: from windows and records to the values that `edge.protocols.hls` renders."""

import math
from collections.abc import Collection, Iterable, Mapping

from appliance.contracts.media import Broadcast, Init, Rendition
from edge.origin.window import MICRO, RenditionWindow, StoredPart, StoredSegment
from edge.protocols.hls.media import MediaPlaylist, Part, RenditionReport, Segment, ServerControl
from edge.protocols.hls.multivariant import AudioRendition, MultivariantPlaylist, Variant
from edge.protocols.hls.reload import WHOLE

_FIRST_BANDWIDTH = 2_000_000  # what a player starts with is near this [Apple 1.32]
_GROUP = "audio"


def server_control(broadcast: Broadcast) -> ServerControl:
    """The same for every rendition of a broadcast (6.2.4): hold-backs 3 targets, skip boundary 6."""
    target_us = broadcast.target_duration_s * MICRO
    return ServerControl(True, 3 * part_target_us(broadcast), 3 * target_us, 6 * target_us)


def part_target_us(broadcast: Broadcast) -> int:
    """PART-TARGET, fixed for the broadcast."""
    return round(broadcast.part_target_s * MICRO)


def media_playlist(
    window: RenditionWindow, broadcast: Broadcast, others: Mapping[str, RenditionWindow]
) -> MediaPlaylist:
    """The full playlist of a rendition. `others`: the windows to report on, by rendition name.

    The line of a finished segment appears with the first part of the next one: a playlist that ends in
    a whole segment makes players ask for a whole segment and wait for all of it.
    """
    stored = [segment for segment in window.segments if segment.gap or _closed(segment)]
    segments: list[Segment] = []
    age_us = -sum(window.micros(segment.ticks) for segment in stored)
    init = None
    for index, segment in enumerate(stored):
        age_us += window.micros(segment.ticks)
        with_parts = -age_us < 3 * broadcast.target_duration_s * MICRO
        late = index == len(stored) - 1 and not window.ended and not segment.gap
        finished = segment.complete and not late
        segments.append(_segment(window, segment, finished, with_parts, segment.init != init))
        init = segment.init
    return MediaPlaylist(
        target_duration_s=broadcast.target_duration_s,
        segments=tuple(segments),
        media_sequence=stored[0].msn if stored else 0,
        discontinuity_sequence=window.discontinuity_sequence(),
        part_target_us=part_target_us(broadcast),
        server_control=server_control(broadcast),
        hint_uri="" if window.ended else f"p{window.next_serial}.m4s",
        reports=() if window.ended else _reports(others),
        ended=window.ended,
    )


def _closed(segment: StoredSegment) -> bool:
    return bool(segment.parts) and segment.parts[0].closed


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


def _part(window: RenditionWindow, part: StoredPart) -> Part:
    return Part(f"p{part.serial}.m4s", window.micros(part.ticks), part.independent, part.gap)


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
) -> MultivariantPlaylist:
    """The multivariant playlist of the listed renditions that have media. URIs are relative to /live/CHANNEL/.

    `resting`: those that have gaps until they are asked for. Players do not begin with one.

    Listed are those of the broadcast's ladder and its sound. Others may be in the log, such as a source that
    players cannot show: their playlists exist for whoever knows their names.
    """
    names = listed(broadcast)
    ready = {record.name: (record, window) for record, window in renditions if record.name in names}
    sound = ready.pop(broadcast.audio, None)
    base = f"../../media/{broadcast.broadcast_id}"
    asleep = {_uri(base, name) for name in resting}
    if sound is None:
        variants = [_variant(base, record, window, None) for record, window in ready.values()]
        return MultivariantPlaylist(_ordered(variants, asleep))
    if not ready:
        return MultivariantPlaylist((_variant(base, sound[0], sound[1], None),))
    variants = [_variant(base, record, window, sound) for record, window in ready.values()]
    audio_format = sound[0].inits[-1].audio
    channels = audio_format.channels if audio_format is not None else 2
    media = AudioRendition(_uri(base, broadcast.audio), _GROUP, "Main", channels=channels)
    return MultivariantPlaylist(_ordered(variants, asleep), (media,))


def listed(broadcast: Broadcast) -> set[str]:
    """The renditions that viewers may be offered."""
    return {*broadcast.ladder, broadcast.audio}


def _variant(
    base: str, record: Rendition, window: RenditionWindow, sound: tuple[Rendition, RenditionWindow] | None
) -> Variant:
    init = record.inits[-1]
    codecs = _codecs(init)
    bandwidth = record.bandwidth
    average = average_bandwidth(record, window)
    if sound is not None:
        codecs += _codecs(sound[0].inits[-1])
        bandwidth += sound[0].bandwidth
        average += average_bandwidth(*sound)
    resolution, rate = None, 0
    if init.video is not None:
        across, down = init.video.sample_aspect
        width = round(init.video.width * across / down) if across > 0 < down else init.video.width
        resolution = width, init.video.height
        frames, per = init.video.frame_rate
        rate = round(1000 * frames / per) if per else 0
    return Variant(
        uri=_uri(base, record.name),
        bandwidth=bandwidth,
        average_bandwidth=min(average, bandwidth),
        codecs=",".join(codecs),
        resolution=resolution,
        frame_rate_milli=rate,
        audio=_GROUP if sound is not None else "",
    )


def _uri(base: str, name: str) -> str:
    return f"{base}/{name}/index.m3u8"


def _codecs(init: Init) -> list[str]:
    formats = (init.video, init.audio)
    return [one.codec for one in formats if one is not None]


def average_bandwidth(record: Rendition, window: RenditionWindow) -> int:
    """Bit/s over the finished segments that are listed; the declared bandwidth before there is one."""
    whole = [segment for segment in window.segments if segment.complete and not (segment.gap or segment.holed)]
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
