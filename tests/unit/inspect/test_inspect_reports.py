"""How old a rendition report may be: as up-to-date as the playlist that contains it (8216bis, 4.4.5.4)."""

import pytest

from edge.inspect.inspection import Inspection
from edge.inspect.observations import Exchange

_HEAD = (
    "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n"
    "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.05,HOLD-BACK=12\n#EXT-X-PART-INF:PART-TARGET=0.35\n"
    '#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:URI="i.mp4"\n'
)
_HELD_S = 0.3


def _playlist(name: str, parts: int, other: str, reported: int) -> bytes:
    """`parts` of segment 7, and a report of the other rendition's last part."""
    listed = "".join(f'#EXT-X-PART:DURATION=0.35,URI="{name}{n}.m4s"\n' for n in range(parts))
    hint = f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{name}{parts}.m4s"\n'
    report = f'#EXT-X-RENDITION-REPORT:URI="../{other}/x.m3u8",LAST-MSN=7,LAST-PART={reported}\n'
    return (_HEAD + listed + hint + report).encode()


class Watch:
    """Two renditions, low and high."""

    def __init__(self) -> None:
        self.inspection = Inspection(0.0)
        self._states = {
            name: self.inspection.rendition(f"http://h/{name}/x.m3u8", "variant") for name in ("low", "high")
        }

    def came(self, name: str, at: float, parts: int, reported: int, *, held: bool = True) -> bool:
        """Whether a report in it is too old."""
        began = at - (_HELD_S if held else 0.001)
        other = "high" if name == "low" else "low"
        url = f"http://h/{name}/x.m3u8" + ("?_HLS_msn=7&_HLS_part=0" if held else "")
        body = _playlist(name, parts, other, reported)
        exchange = Exchange(url, status=200, body=body, began=began, first=at, ended=at)
        self.inspection.playlist(self._states[name], exchange)
        return "REPORT-FRESH" in self.inspection.findings.names


@pytest.mark.parametrize(("reported", "is_old"), [(3, False), (2, False), (1, True)])
def test_a_new_playlist_has_new_reports(reported: int, is_old: bool) -> None:
    watch = Watch()
    assert not watch.came("high", 1.0, 3, 0)
    assert not watch.came("high", 1.3, 4, 0)
    assert watch.came("low", 1.5, 4, reported) == is_old


def test_one_that_stands_still_reports_as_of_its_last_part() -> None:
    watch = Watch()
    assert not watch.came("high", 1.0, 3, 2)
    assert not watch.came("low", 1.05, 3, 2)
    for step in range(1, 6):
        assert not watch.came("high", 1.0 + step * 0.35, 3 + step, 2)
    assert not watch.came("low", 2.9, 3, 2, held=False), "its playlist is as old"
    assert watch.came("low", 3.2, 4, 2), "it is new now"
