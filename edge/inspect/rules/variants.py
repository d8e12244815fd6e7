"""What the multivariant playlist says, and whether the renditions are so (8216bis, 4.4.6)."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from edge.inspect.mp4 import TrackInit
from edge.inspect.multivariant import MultivariantText, VariantLine, is_video, number
from edge.inspect.observations import Note
from edge.inspect.playlist import Tag

FIRST_BANDWIDTH = 2_000_000
PEAK = 1.25
_RATE = re.compile(r"\d{1,4}\.\d{3}\Z", re.ASCII)
_STABLE = re.compile(r"[A-Za-z0-9+/=.\-_]+\Z")
_TYPES = frozenset({"AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"})
_MOST_FRAMES = 60.0
_NAMED = frozenset({"Opus", "fLaC", "ac-3", "ec-3"})


class Size(NamedTuple):
    """A segment: bytes and seconds."""

    msn: int
    size: int
    length_s: float


def check(text: MultivariantText, note: Note) -> None:
    """The playlist by itself."""
    for problem in text.problems:
        note("MV-SYNTAX", problem.line, problem.what)
    if "#EXT-X-INDEPENDENT-SEGMENTS" not in text.tags:
        note("MV-INDEPENDENT", 0, "no EXT-X-INDEPENDENT-SEGMENTS")
    for variant in text.variants:
        _variant(variant, note)
    _together(text, note)
    _media(text, note)
    _groups(text, note)
    for tag in text.iframes:
        missing = [name for name in ("URI", "BANDWIDTH", "CODECS", "RESOLUTION") if not tag.values.get(name)]
        if missing:
            note("IFRAME-ATTRIBUTES", tag.line.number, f"no {', '.join(missing)}")


def _variant(variant: VariantLine, note: Note) -> None:
    values, line = variant.values, variant.line.number
    if not variant.bandwidth:
        note("MV-BANDWIDTH", line, variant.line.text)
    average = number(values.get("AVERAGE-BANDWIDTH", ""))
    if not average or average > variant.bandwidth > 0:
        note("MV-AVERAGE-BANDWIDTH", line, f"AVERAGE-BANDWIDTH {average}, BANDWIDTH {variant.bandwidth}")
    if not variant.codecs:
        note("MV-CODECS", line, variant.line.text)
    if any(codec.startswith("avc3") for codec in variant.codecs):
        note("MV-AVC3", line, values["CODECS"])
    if "STABLE-VARIANT-ID" in values and not _STABLE.match(values["STABLE-VARIANT-ID"]):
        note("MV-STABLE-ID", line, values["STABLE-VARIANT-ID"])
    if variant.has_video:
        _pictures(variant, note)


def _pictures(variant: VariantLine, note: Note) -> None:
    values, line = variant.values, variant.line.number
    if variant.size is None:
        note("MV-RESOLUTION", line, values.get("RESOLUTION", "no RESOLUTION"))
    rate = values.get("FRAME-RATE", "")
    if not _RATE.match(rate) or float(rate) > _MOST_FRAMES:
        note("MV-FRAME-RATE", line, rate or "no FRAME-RATE")


def _together(text: MultivariantText, note: Note) -> None:
    """Rules about all variants."""
    for attribute, name in (("CLOSED-CAPTIONS", "MV-CLOSED-CAPTIONS"), ("SCORE", "MV-SCORE")):
        wanted = [_says(variant, attribute) for variant in text.variants]
        if any(wanted) and not all(wanted):
            first = text.variants[wanted.index(False)]
            note(name, first.line.number, f"{attribute} on {sum(wanted)} of {len(wanted)} variants")
    videos = [variant for variant in text.variants if variant.has_video]
    if len({variant.uri for variant in videos}) == 1:
        note("MV-SEVERAL", videos[0].line.number, "one variant of video")
    _first(videos, note)
    ratios = [variant.size[0] / variant.size[1] for variant in videos if variant.size is not None]
    if ratios and max(ratios) > 1.02 * min(ratios):
        note("MV-ASPECT", 0, f"between {min(ratios):.3f} and {max(ratios):.3f}")


def _says(variant: VariantLine, attribute: str) -> bool:
    value = variant.values.get(attribute)
    return value == "NONE" if attribute == "CLOSED-CAPTIONS" else value is not None


def _first(videos: Sequence[VariantLine], note: Note) -> None:
    """Within a factor of two any variant is near enough."""
    distances = [abs(math.log(variant.bandwidth / FIRST_BANDWIDTH)) for variant in videos if variant.bandwidth]
    if len(distances) > 1 and distances[0] > math.log(2) and distances[0] > min(distances) + 1e-9:
        note("MV-FIRST", videos[0].line.number, f"the first has {videos[0].bandwidth} bit/s")


def _media(text: MultivariantText, note: Note) -> None:
    names = set()
    for tag in text.media:
        values, line = tag.values, tag.line.number
        key = values.get("TYPE", ""), values.get("GROUP-ID", ""), values.get("NAME", "")
        if key[0] not in _TYPES or not all(key):
            note("MV-MEDIA", line, tag.line.text)
        elif key in names:
            note("MV-MEDIA", line, f"NAME {key[2]} twice in group {key[1]}")
        elif values.get("DEFAULT") == "YES" and values.get("AUTOSELECT", "YES") != "YES":
            note("MV-MEDIA", line, "DEFAULT=YES with AUTOSELECT=NO")
        names.add(key)
        if key[0] == "AUDIO" and not values.get("LANGUAGE"):
            note("MV-LANGUAGE", line, tag.line.text)
        if key[0] == "AUDIO" and not values.get("CHANNELS"):
            note("MV-CHANNELS", line, tag.line.text)


def _groups(text: MultivariantText, note: Note) -> None:
    known = {(tag.values.get("TYPE"), tag.values.get("GROUP-ID")) for tag in text.media}
    for variant in text.variants:
        for kind in ("AUDIO", "VIDEO", "SUBTITLES"):
            group = variant.values.get(kind)
            if group is not None and (kind, group) not in known:
                note("MV-GROUPS", variant.line.number, f"{kind} group {group!r} does not exist")


def check_media(variant: VariantLine, own: Sequence[TrackInit], sound: Sequence[TrackInit], note: Note) -> None:
    """A variant against the tracks of its playlist, and of the audio renditions it goes with."""
    line = variant.line.number
    if variant.codecs:
        wrong = _wrong_codecs(variant.codecs, [*own, *sound])
        if wrong:
            note("MV-CODECS-TRUE", line, wrong)
    pictures = [track for track in own if track.kind == "vide"]
    if any(track.kind == "soun" for track in own) and pictures:
        note("MV-AUDIO-SEPARATE", line, "audio and video in the same segments")
    for track in pictures:
        shown = (track.width, track.height), (track.display_width, track.height)
        if variant.size is not None and track.width and variant.size not in shown:
            note(
                "MV-RESOLUTION-TRUE", line, f"{variant.size[0]}x{variant.size[1]}, is {track.width}x{track.height}"
            )
        if track.video_range != "SDR" and variant.values.get("VIDEO-RANGE") != track.video_range:
            note("MV-VIDEO-RANGE", line, f"{variant.values.get('VIDEO-RANGE', 'none')}, is {track.video_range}")


def _wrong_codecs(said: Sequence[str], tracks: Sequence[TrackInit]) -> str:
    actual = {track.codec or (track.entry if track.entry in _NAMED else "") for track in tracks}
    known = {codec.casefold() for codec in actual if codec}
    listed = {codec.casefold() for codec in said}
    missing = known - listed
    if missing:
        return f"{','.join(said)}: {sorted(missing)[0]} is missing"
    extra = listed - known
    if (
        tracks
        and "" not in actual
        and extra
        and any(track.kind == "vide" for track in tracks) | (not any(map(is_video, said)))
    ):
        return f"{','.join(said)}: there is no {sorted(extra)[0]}"
    return ""


def check_peak(variant: VariantLine, sizes: Sequence[Size], target_s: int, sound_rate: float, note: Note) -> None:
    """`sizes`: of the variant's segments, in order; `sound_rate`: bit/s of its audio rendition."""
    rates = list(_rates(sizes, target_s))
    if rates and variant.bandwidth and max(rates) + sound_rate > PEAK * variant.bandwidth:
        peak = round(max(rates) + sound_rate)
        note("MV-PEAK", variant.line.number, f"BANDWIDTH {variant.bandwidth}, a segment has {peak} bit/s")


def _rates(sizes: Sequence[Size], target_s: int) -> Iterator[float]:
    """Bit/s of each run of segments that lasts 0.5 to 1.5 target durations, of which the largest is the peak."""
    for first, begin in enumerate(sizes):
        size, length_s = 0, 0.0
        for msn, one in enumerate(sizes[first:], begin.msn):
            size, length_s = size + one.size, length_s + one.length_s
            if one.msn != msn or length_s > 1.5 * target_s:
                break
            if length_s >= 0.5 * target_s > 0:
                yield 8 * size / length_s


def check_steering(tag: Tag, manifest: object, variants: Sequence[VariantLine], note: Note) -> None:
    """EXT-X-CONTENT-STEERING. `manifest` is what JSON its URI gave, None where it gave none."""
    line = tag.line.number
    if not tag.values.get("SERVER-URI"):
        note("STEERING", line, "no SERVER-URI")
        return
    if not isinstance(manifest, Mapping):
        note("STEERING", line, "the manifest cannot be read")
        return
    order = manifest.get("PATHWAY-PRIORITY")
    if manifest.get("VERSION") != 1 or not isinstance(order, list) or not order:
        note("STEERING", line, "the manifest has no VERSION 1 or no PATHWAY-PRIORITY")
        return
    ways: dict[str, set[tuple[str | None, str]]] = {}
    for variant in variants:
        way = variant.values.get("PATHWAY-ID", ".")
        ways.setdefault(way, set()).add((variant.values.get("RESOLUTION"), variant.values.get("CODECS", "")))
    if len({frozenset(offers) for offers in ways.values()}) > 1:
        note("STEERING", line, f"the pathways {sorted(ways)[:4]} do not offer the same")
