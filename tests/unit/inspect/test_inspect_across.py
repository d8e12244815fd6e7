"""Renditions beside each other, when one of them has gaps."""

from edge.inspect.playlist import read_media
from edge.inspect.rules import across

PLAYLIST = read_media(b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:1\n#EXTINF:2.0,\ns1.m4s\n")


def story(name: str, *msns: int, late_s: float = 0.0) -> across.Story:
    seen = [across.Seen(msn, 0, 2.0 * msn + late_s, 2.0, None) for msn in msns]
    return across.Story(f"http://x/{name}/index.m3u8", PLAYLIST, seen)


def violated(one: across.Story, other: across.Story) -> list[str]:
    found: list[str] = []
    across.check([one, other], lambda name, line, value: found.append(name))
    return [name for name in found if name == "X-ALIGNED-SEG"]


def test_what_is_a_gap_in_one_rendition_has_nothing_to_be_aligned_with() -> None:
    assert not violated(story("720p", 1, 2, 5, 6), story("source", 1, 2, 3, 4, 5, 6))
    assert not violated(story("source", 1, 2, 3, 4, 5, 6), story("720p", 1, 2, 5, 6))


def test_segments_beside_a_gap_are_still_compared() -> None:
    assert violated(story("720p", 1, 2, 5, 6), story("source", 1, 2, 3, 4, 5, 6, late_s=0.5))
    assert violated(story("720p", 1, 2, 3), story("source", 1, 2, 3, late_s=0.5))
