"""Pictures of several decoders are matched by their times, whatever each of them holds back or loses."""

from collections.abc import Sequence

import pytest
from av.video.frame import VideoFrame

from edge.transcode.decoders.bank import Bank
from edge.transcode.decoders.base import Card, CardError, VideoPacket, Wanted, video_packet
from edge.transcode.forms import VideoForm
from tests.unit.transcode.encoded_sources import grey

FORM = VideoForm("h264", b"", (30, 1), (1, 1), (320, 180))
LARGE, SMALL = Wanted("large", (160, 90), True), Wanted("small", (80, 44), True)


class Scripted:
    """A decoder that gives each picture `late` packets later, and some never."""

    def __init__(self, size: tuple[int, int], late: int = 0, lost: Sequence[int] = ()) -> None:
        self._size, self._late, self._lost = size, late, lost
        self._held: list[int] = []
        self.fed = 0

    def decode(self, packet: "VideoPacket | None") -> list[VideoFrame]:
        self.fed += packet is not None
        if packet is not None and packet.pts is not None:
            self._held = sorted([*self._held, packet.pts])
        count = len(self._held) - self._late if packet is not None else len(self._held)
        out, self._held = self._held[: max(0, count)], self._held[max(0, count) :]
        return [grey(self._size, 100, pts) for pts in out if pts not in self._lost]


class Bench:
    """A bank whose decoders are scripted by the rung's height."""

    def __init__(self, **scripts: dict[str, object]) -> None:
        self.sessions: list[Scripted] = []
        self._scripts = scripts
        card = Card("bench", ("h264",), "yuv420p", "yuv420p", self._open)
        self.bank = Bank(card, FORM, [LARGE, SMALL])

    def _open(self, form: VideoForm, size: tuple[int, int], on_card: bool) -> Scripted:
        script = self._scripts.get("large" if size == LARGE.size else "small", {})
        self.sessions.append(Scripted(size, **script))  # type: ignore[arg-type]
        return self.sessions[-1]

    def feed(self, times: Sequence[int], keys: Sequence[int] = (0,)) -> list[tuple[int, list[str]]]:
        """The pictures that come of these packets: time, and for whom."""
        found = [one for pts in times for one in self.bank.decode(video_packet(b"x", pts, pts, key=pts in keys))]
        return [(one.frame.pts or 0, sorted(one.scaled or {})) for one in found]

    def rest(self) -> list[int]:
        return [one.frame.pts or 0 for one in self.bank.decode(None)]


BOTH = ["large", "small"]


def test_one_waits_for_the_other() -> None:
    bench = Bench(small={"late": 2})
    assert bench.feed(range(5)) == [(0, BOTH), (1, BOTH), (2, BOTH)]
    assert bench.rest() == [3, 4]


def test_the_largest_stands_for_the_picture() -> None:
    [picture] = Bench().bank.decode(video_packet(b"x", 0, 0, key=True))
    assert (picture.frame.width, picture.frame.height) == LARGE.size
    assert {name: frame.width for name, frame in (picture.scaled or {}).items()} == {"large": 160, "small": 80}


@pytest.mark.parametrize("late", [0, 1, 3])
def test_what_one_has_lost_nobody_is_given(late: int) -> None:
    bench = Bench(small={"lost": (2, 3), "late": late}, large={"lost": (6,)})
    assert [pts for pts, _ in bench.feed(range(10))] + bench.rest() == [0, 1, 4, 5, 7, 8, 9]


def test_what_one_has_lost_at_the_end_is_not_waited_for() -> None:
    bench = Bench(small={"lost": (4,)})
    assert bench.feed(range(5)) == [(pts, BOTH) for pts in range(4)]
    assert bench.rest() == []


def test_one_that_gives_nothing_any_more_is_an_error() -> None:
    bench = Bench(small={"lost": range(3, 100)})
    with pytest.raises(CardError, match="for small gives no pictures"):
        bench.feed(range(100))


def test_who_is_wanted_changes_at_a_key_frame_where_the_pictures_before_it_still_come() -> None:
    """An open GOP: 8 and 9 are decoded behind the key frame at 10, and shown before it."""
    bench = Bench(large={"late": 2}, small={"late": 2})
    shown = bench.feed([0, 1, 2, 3, 4, 5])
    bench.bank.want([LARGE])
    shown += bench.feed([6, 7, 10, 8, 9, 11, 12, 13], keys=[10])
    assert shown == [(pts, BOTH) for pts in range(10)] + [(pts, ["large"]) for pts in (10, 11)]
    fed = bench.sessions[1].fed
    bench.feed([14])
    assert bench.sessions[1].fed == fed, "it has ended"
    bench.bank.want([LARGE, SMALL])
    shown = bench.feed([15, 16, 20, 18, 19, 21, 22, 23], keys=[20])
    assert [names for pts, names in shown if pts < 20] == [["large"]] * 6
    assert [names for pts, names in shown if pts >= 20] == [BOTH] * 2
    assert len(bench.sessions) == 3
