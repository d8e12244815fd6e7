"""What must hold of every downloaded rendition."""

from collections.abc import Iterable
from fractions import Fraction

from tests.media_tools.clips import RATE
from tests.media_tools.frames import Picture, pictures
from tests.media_tools.hls_client import HlsRecorder, Track

VIDEO = ("source", "480p", "360p")
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
        for one, other in zip(found, found[1:], strict=False)
        if abs(other.at - one.at - _STEP) > tolerance
    ]
    assert not wrong, f"{name}: {len(wrong)} steps are not 1/{RATE} s: {wrong[:5]}"


def assert_same_segments(recorder: HlsRecorder) -> None:
    """Segments have the same numbers in every rendition and the same lengths in every video rendition."""
    segments = {name: track.segments() for name, track in recorder.tracks.items()}
    source = segments["source"]
    for name, found in segments.items():
        assert sorted(found) == sorted(source), f"{name} has segments {sorted(found)}, source {sorted(source)}"
        for msn, seconds in found.items():
            near = 0.05 if name == "audio" else 0.001
            if msn != max(source):
                assert abs(seconds - source[msn]) < near, f"{name}: segment {msn} lasts {seconds}, not {source[msn]}"
