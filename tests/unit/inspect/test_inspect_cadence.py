"""When parts come: what is too late, and what came then."""

from edge.inspect.observations import Exchange
from edge.inspect.playlist import read_media
from edge.inspect.rules.timing import Cadence

_HEAD = (
    "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n"
    "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.05\n#EXT-X-PART-INF:PART-TARGET=0.35\n"
    '#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:URI="i.mp4"\n'
)
_HELD_S = 0.2


def _parts(*gaps: bool) -> str:
    listed = (f'#EXT-X-PART:DURATION=0.35,URI="{n}"{",GAP=YES" if gap else ""}\n' for n, gap in enumerate(gaps))
    return _HEAD + "".join(listed)


def _seen(*answers: tuple[str, float]) -> list[str]:
    """(playlist, seconds at which it came) of each blocking reload."""
    cadence, noted = Cadence(), list[str]()
    for text, at in answers:
        exchange = Exchange("a.m3u8?_HLS_msn=7", status=200, began=at - _HELD_S, first=at, ended=at)
        cadence.observe(
            read_media(text.encode()), exchange, lambda name, _, value: noted.append(f"{name}: {value}")
        )
    cadence.finish(lambda name, _, value: noted.append(f"{name}: {value}"))
    return noted


def test_parts_at_their_pace() -> None:
    assert not _seen((_parts(False), 1.0), (_parts(False, False), 1.35), (_parts(False, False, True), 1.99))


def test_what_came_after_a_late_part_is_told() -> None:
    assert _seen((_parts(False), 1.0), (_parts(False, True), 1.9)) == [
        "CADENCE-PART: 0.90 s, at most 0.70 s, then a gap"
    ]
    assert _seen((_parts(False), 1.0), (_parts(False, False), 1.9)) == ["CADENCE-PART: 0.90 s, at most 0.70 s"]


def test_a_part_that_never_came_is_told() -> None:
    assert _seen((_parts(False), 1.0), (_parts(False), 2.0)) == [
        "CADENCE-PART: 1.00 s, at most 0.70 s, and nothing since"
    ]
