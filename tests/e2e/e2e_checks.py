"""What must hold of every downloaded rendition."""

import itertools
from collections.abc import Iterable
from fractions import Fraction

from tests.media_tools.clips import RATE
from tests.media_tools.frames import Picture, pictures, sound
from tests.media_tools.hls_client import HlsRecorder, Track

VIDEO = ("source", "480p", "360p")
SKEW_S = 0.08
_NO_PICTURE_S = 2 / RATE
_STEP = Fraction(1, RATE)


def assert_playlists_honest(tracks: Iterable[Track]) -> None:
    """No playlist contradicted an earlier one."""
    for track in tracks:
        assert not track.wrong, f"{track.name}: {track.wrong[:5]}"
        assert track.firsts == sorted(track.firsts), f"{track.name}: media sequence went back"


def assert_nothing_missing(recorder: HlsRecorder) -> None:
    """No gap and no discontinuity was announced."""
    for track in recorder.tracks.values():
        assert not track.gaps, f"{track.name}: gaps at {sorted(track.gaps)}"
        assert not track.discontinuities, f"{track.name}: discontinuities at {sorted(track.discontinuities)}"


def assert_every_picture(track: Track, first: int, last: int) -> list[Picture]:
    """Pictures first..last once each, in order, at exact steps."""
    found = pictures(track)
    numbers = [picture.number for picture in found]
    expected = list(range(first, last + 1))
    missing = sorted(set(expected) - set(numbers))
    doubled = sorted(number for number in set(numbers) if numbers.count(number) > 1)
    assert numbers == expected, f"{track.name}: {len(numbers)} pictures, missing {missing}, doubled {doubled}"
    assert_steps(track.name, found)
    return found


def assert_steps(name: str, found: list[Picture], *, tolerance: Fraction = Fraction(1, 90_000)) -> None:
    """Presentation times of successive pictures are one frame apart."""
    wrong = [
        (one.number, float(other.at - one.at))
        for one, other in itertools.pairwise(found)
        if abs(other.at - one.at - _STEP) > tolerance
    ]
    assert not wrong, f"{name}: {len(wrong)} steps are not 1/{RATE} s: {wrong[:5]}"


def assert_same_segments(recorder: HlsRecorder, *, cut: Iterable[int] = ()) -> None:
    """Segments have the same numbers in every rendition and the same lengths.

    In those of `cut` the publisher was lost: sound and picture need not end together, and one may be missing.
    """
    lost = set(cut)
    segments = {name: track.segments() for name, track in recorder.tracks.items()}
    source = segments["source"]
    for name, found in segments.items():
        others = found.keys() ^ source.keys()
        assert others <= lost, f"{name} has segments {sorted(found)}, source {sorted(source)}"
        for msn, seconds in found.items():
            if msn not in source or (name == "audio" and (msn == max(source) or msn in lost)):
                continue
            near = 0.05 if name == "audio" else 0.001
            assert abs(seconds - source[msn]) < near, f"{name}: segment {msn} lasts {seconds}, not {source[msn]}"


def assert_in_step(recorder: HlsRecorder, *, holes: int = 0) -> float:
    """Each beep sounds when a picture flashes; returns the largest distance in seconds.

    At the edge of each of `holes` one beep may have no picture at all: the sound of that moment was in the log
    already when the writer was killed. Where there is a picture it must flash.
    """
    heard = sound(recorder.tracks["audio"])
    largest = 0.0
    for name in VIDEO:
        seen = pictures(recorder.tracks[name])
        flashes = [float(picture.at) for picture in seen if picture.flash]
        assert len(flashes) > 1, f"{name}: no flashes"
        unseen = 0
        for beep in heard.beeps:
            if unseen < holes and min(abs(beep - float(picture.at)) for picture in seen) > _NO_PICTURE_S:
                unseen += 1
                continue
            skew = min(abs(beep - flash) for flash in flashes)
            assert skew < SKEW_S, f"{name}: the beep at {beep} is {skew} s from the next flash"
            largest = max(largest, skew)
    return largest


def runs_of(numbers: list[int]) -> list[list[int]]:
    """`numbers` cut where they do not count up by one."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] + 1 == number:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs
