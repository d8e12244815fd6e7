"""What is in parts, segments and initialisation segments, against what playlists say of them."""

import itertools
from collections.abc import Mapping, Sequence

from edge.inspect.mp4 import Media, TrackInit, TrackSamples
from edge.inspect.observations import Note
from edge.inspect.playlist import PartLine, SegmentLine

MICRO = 1_000_000
KEY_S = 2.0
_ROUNDING_S = 0.002
Tracks = Mapping[int, TrackInit]


def main_track(media: Media, tracks: Tracks) -> int | None:
    """The track that times are judged by: the first with pictures, else the first."""
    for track_id in media.tracks:
        if tracks[track_id].kind == "vide":
            return track_id
    return next(iter(media.tracks), None)


def seconds(samples: TrackSamples, track: TrackInit) -> float:
    """What the samples of a track last."""
    return samples.ticks / track.timescale if track.timescale else 0.0


def frame_s(samples: TrackSamples, track: TrackInit) -> float:
    """The longest sample."""
    return max(sample[1] for sample in samples.samples) / track.timescale if track.timescale else 0.0


def start_s(media: Media, tracks: Tracks) -> float | None:
    """Earliest presentation time of the main track, seconds of media time."""
    track_id = main_track(media, tracks)
    if track_id is None or not tracks[track_id].timescale:
        return None
    return min(sample[0] + sample[2] for sample in media.tracks[track_id].samples) / tracks[track_id].timescale


def check_part(part: PartLine, media: Media, tracks: Tracks, note: Note) -> None:
    """A part by itself."""
    _odd(media, tracks, note)
    main = main_track(media, tracks)
    if main is None:
        return
    _independent(part, media.tracks[main], tracks[main], note)


def _shown_s(samples: TrackSamples, track: TrackInit) -> float:
    """From the first picture's time to the end of the last one's."""
    first = min(sample[0] + sample[2] for sample in samples.samples)
    last = max(samples.samples, key=lambda sample: sample[0] + sample[2])
    return (last[0] + last[2] + last[1] - first) / track.timescale if track.timescale else 0.0


def untrue(duration_us: int, media: Media, after: Media | None, tracks: Tracks) -> str:
    """How long it lasts, when that is not `duration_us` within one frame; "" when it is.

    By its samples, by the times at which they are shown, or up to the first picture of what follows. They differ
    where a picture is decoded much earlier than it is shown, because an encoder left out those before.
    """
    main = main_track(media, tracks)
    if main is None:
        return ""
    samples, track = media.tracks[main], tracks[main]
    said, begins = duration_us / MICRO, start_s(media, tracks)
    follows = start_s(after, tracks) if after is not None else None
    found = [seconds(samples, track), _shown_s(samples, track)]
    if begins is not None and follows is not None:
        found.append(follows - begins)
    frame = min(sample[1] for sample in samples.samples) / track.timescale if track.timescale else 0.0
    if any(abs(lasts - said) <= max(frame, _ROUNDING_S) for lasts in found):
        return ""
    return f"its samples last {found[0]:.4f} s"


def _independent(part: PartLine, samples: TrackSamples, track: TrackInit, note: Note) -> None:
    syncs = [sample[3] for sample in samples.samples]
    if track.kind != "vide":
        syncs = [True]
    said = "INDEPENDENT=YES" if part.independent else "no INDEPENDENT=YES"
    if part.independent and not any(syncs):
        note("PART-INDEPENDENT-TRUE", part.line.number, f"{said}, no key frame")
    elif part.independent != (syncs[0] and samples.first_idr):
        note("PART-INDEPENDENT-FIRST", part.line.number, f"{said}, key frames at {_keys(syncs)} of {len(syncs)}")


def _keys(syncs: Sequence[bool]) -> list[int]:
    return [index for index, sync in enumerate(syncs) if sync][:5]


def _odd(media: Media, tracks: Tracks, note: Note) -> None:
    found = sorted(set(media.odd)) + (["an edit list"] if any(track.edits for track in tracks.values()) else [])
    if found:
        note("SEG-CMAF", 0, ", ".join(found))


def check_segment(segment: SegmentLine, media: Media, tracks: Tracks, target_s: int, note: Note) -> None:
    """A segment by itself."""
    _odd(media, tracks, note)
    line = segment.line.number if segment.line is not None else 0
    silent = [track.track_id for track in tracks.values() if track.track_id not in media.tracks]
    if silent:
        note("SEG-ALL-TRACKS", line, f"no samples of track {silent[0]} ({tracks[silent[0]].kind})")
    main = main_track(media, tracks)
    if main is None:
        return
    samples, track = media.tracks[main], tracks[main]
    lasts = seconds(samples, track)
    if lasts > target_s + 0.5 + 1e-6:
        note("SEG-TD+0.5", line, f"its samples last {lasts:.4f} s, target {target_s}")
    if track.kind == "vide":
        _key_frames(samples, track, line, note)


def _key_frames(samples: TrackSamples, track: TrackInit, line: int, note: Note) -> None:
    syncs = [sample[3] for sample in samples.samples]
    if not (syncs[0] and samples.first_idr):
        note("SEG-IDR", line, "no key frame by its flags" if not syncs[0] else "no IDR picture by its bytes")
    keys = [sample[0] for sample in samples.samples if sample[3]] + [samples.end]
    longest = max((b - a for a, b in itertools.pairwise(keys)), default=0) / track.timescale
    if longest > KEY_S + frame_s(samples, track):
        note("IDR-2S", line, f"{longest:.2f} s from one key frame to the next")


def check_parts(segment: SegmentLine, whole: Media, parts: Sequence[Media], note: Note) -> None:
    """A segment against all of its parts."""
    line = segment.line.number if segment.line is not None else 0
    for track_id, samples in whole.tracks.items():
        joined = [sample for part in parts if track_id in part.tracks for sample in part.tracks[track_id].samples]
        if joined != samples.samples:
            seen = f"track {track_id}: {len(samples.samples)} samples, its parts have {len(joined)}"
            note("SEG-EQ-PARTS", line, seen if len(joined) != len(samples.samples) else f"{seen}, others")
            return
    if any(set(part.tracks) - set(whole.tracks) for part in parts):
        note("SEG-EQ-PARTS", line, "its parts have tracks that it has not")


def check_contiguous(before: Media, after: Media, tracks: Tracks, line: int, note: Note) -> None:
    """Two parts or segments of the same initialisation segment that follow each other."""
    for track_id in before.tracks.keys() & after.tracks.keys():
        one, other, track = before.tracks[track_id], after.tracks[track_id], tracks[track_id]
        off = (other.start - one.end) / track.timescale if track.timescale else 0.0
        if abs(off) > max(frame_s(one, track) / 2, _ROUNDING_S):
            note("SEG-CONTIGUOUS", line, f"track {track_id} goes on {off:+.3f} s from where it ended")


def check_change(before: Tracks, after: Tracks, segment: SegmentLine, note: Note) -> None:
    """The initialisation segment changed at a segment."""
    if segment.discontinuity:
        return
    one, other = (sorted(track.format for track in tracks.values()) for tracks in (before, after))
    if one != other:
        note("DISC-MISSING", segment.line.number if segment.line else 0, f"{one} became {other}")
