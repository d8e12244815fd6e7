"""Sums, limits, shedding, and the queue to the outbox."""

import asyncio

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from appliance.contracts.errors import BadInputError, UnavailableError
from appliance.contracts.quality import HEIGHTS, QualityBatch, QualityCell
from edge.origin.metrics import Tally
from edge.origin.quality import sums as sums_module
from edge.origin.quality import teller as teller_module
from edge.origin.quality.beacon import Beacon, read_beacon
from edge.origin.quality.limits import AddressLimit, Shedding
from edge.origin.quality.sums import Counted, Sums
from edge.origin.quality.teller import QualityTeller

AT = 1_700_000_040_000
MINUTE = AT - AT % 60_000


def beacon(**changes):
    fields = {
        "v": 1, "session": "A" * 22, "stream_id": "b", "channel": "alice", "player": "hls.js 1.7.0", "seq": 0,
        "state": "playing", "interval_ms": 10_000,
    }  # fmt: skip
    return Beacon(**(fields | changes))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_report_or_bad_input(body):
    try:
        read_beacon(body)
    except BadInputError as error:
        assert error.code == "beacon"


@given(st.integers(0, 10**9), st.text(max_size=20))
def test_players_cannot_make_cells(height, player):
    found = beacon(height=height, player=player)
    assert found.lines in (0, *HEIGHTS)
    assert found.kind in ("hls.js", "native", "whep", "other")


def test_heights_are_the_nearest():
    assert [beacon(height=lines).lines for lines in (1, 358, 719, 1088, 9000)] == [144, 360, 720, 1080, 4320]
    assert beacon(height=720, state="audio").lines == 0


def test_time_that_cannot_be_is_bounded():
    one = beacon(interval_ms=1000, stall_ms=9_000_000)
    assert (one.stalled_ms, one.played_ms) == (1000, 0)


def test_a_session_of_a_minute_is_counted_once_over_all_takings():
    sums = Sums(Tally())
    found = []
    for seq in range(4):
        assert sums.add(1, beacon(seq=seq, startup_ms=500), AT + seq) is (Counted.MORE if seq else Counted.STARTED)
        cells, _ = sums.take(AT + seq)
        found += cells
    assert [(cell.minute_ms, cell.sessions, cell.startup_ms.count) for cell in found] == [
        (MINUTE, 1, 1), *[(MINUTE, 0, 0)] * 3,
    ]  # fmt: skip
    assert sums.add(1, beacon(seq=2), AT + 10) is Counted.AGAIN
    sums.add(1, beacon(seq=9), MINUTE + 60_000)
    [cell], over = sums.take(MINUTE + 60_000)
    assert (cell.minute_ms, cell.sessions, over) == (MINUTE + 60_000, 1, [])
    _, [summary] = sums.take(MINUTE + 120_000)
    assert (summary.began_ms, summary.ended_ms, summary.played_ms) == (AT - 10_000, MINUTE + 60_000, 50_000)


def test_sums_are_bounded(monkeypatch):
    for name in ("MOST_SESSIONS", "MOST_CELLS", "MOST_SUMMARIES"):
        monkeypatch.setattr(sums_module, name, 1)
    tally = Tally()
    sums = Sums(tally)
    for session, player in ((1, "native"), (2, "whep")):
        sums.add(session, beacon(player=player), AT)
    assert (tally.events["over_sessions"], tally.events["over_cells"]) == (1, 1)
    sums.add(1, beacon(seq=1, leaving=True, player="native"), AT)
    sums.add(3, beacon(leaving=True, player="native"), AT)
    assert tally.events["over_summaries"] == 1
    cells, over = sums.take(AT)
    assert (len(cells), len(over)) == (1, 1)


def test_merged_cells_are_the_sums_of_all():
    whole, some, rest = (QualityCell(broadcast_id="b", minute_ms=0, height=720, player="native") for _ in range(3))
    for number, part in enumerate([some, some, rest]):
        for cell in (whole, part):
            cell.stalls += number
            cell.latency_ms.add(100 * number)
            cell.errors["media"] = cell.errors.get("media", 0) + 1
    some.merge(rest)
    assert some == whole


def test_an_address_has_a_rate_and_a_burst():
    limit = AddressLimit(60)
    taken = [limit.take("a", 100.0) for _ in range(30)]
    assert taken.count(0.0) == 21
    assert limit.take("b", 100.0) == 0.0
    assert limit.take("a", 101.0 + taken[-1]) == 0.0


def test_shedding_keeps_a_share_that_recovers():
    shedding = Shedding(100)
    now = 10.0
    assert shedding.keeps(1, now)
    for _ in range(400):
        shedding.keeps(1, now)
    now += 1.0
    shedding.keeps(1, now)
    assert 0.2 < shedding.share < 0.3
    kept = [session for session in range(0, 0x10000, 64) if shedding.keeps(session, now)]
    assert 0.2 < len(kept) / 1024 < 0.3
    assert all(shedding.keeps(session, now) for session in kept), "whole sessions"
    for _ in range(20):
        now += 1.0
        shedding.keeps(1, now)
    assert shedding.share == 1.0


def test_few_reports_are_taken_again_as_soon_as_many():
    shedding = Shedding(100)
    shedding.keeps(1, 10.0)
    shedding.late(1.0)
    assert not shedding.keeps(0xFFFF, 10.5)
    assert shedding.keeps(0xFFFF, 20.5)


class Outbox:
    def __init__(self):
        self.batches = []
        self.away = False

    async def append(self, subject, data, *, message_id):
        if self.away:
            raise UnavailableError("away")
        assert subject == "fed.lyon.ev.quality"
        self.batches.append(msgspec.json.decode(data, type=QualityBatch))
        assert self.batches[-1].event_id == message_id
        return 1


def make_teller(outbox, broadcasts=0):
    sums = Sums(Tally())
    for number in range(broadcasts):
        sums.add(number, beacon(stream_id=str(number)), AT)
    return QualityTeller(outbox, "lyon", sums=sums, viewers=lambda: {"b": 3}, now_ms=lambda: AT, period_s=1000)


async def test_batches_are_cut_and_all_told_before_the_end():
    outbox = Outbox()
    teller = make_teller(outbox, 120)
    teller.start()
    await teller.close()
    assert [len(batch.cells) for batch in outbox.batches] == [50, 50, 20]
    assert [len(batch.sessions) for batch in outbox.batches] == [120, 0, 0]
    assert [[tuple(msgspec.to_builtins(one)) for one in batch.viewers] for batch in outbox.batches] == [
        [("b", 3)], [], [],
    ]  # fmt: skip


async def test_while_the_log_is_away_the_newest_are_kept(monkeypatch):
    monkeypatch.setattr(teller_module, "MOST_BATCHES", 2)
    dropped = teller_module.DROPPED._value.get()
    outbox = Outbox()
    outbox.away = True
    teller = make_teller(outbox)
    teller.start()
    for _ in range(3):
        teller.collect()
    assert teller_module.DROPPED._value.get() == dropped + 1
    await asyncio.sleep(0)
    outbox.away = False
    await teller.close()
    assert len(outbox.batches) == 2
