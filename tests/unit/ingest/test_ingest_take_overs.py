"""How often encoders may take a channel from each other."""

import pytest
from flv_source import broadcast
from ingest_site import Site, until

from appliance.contracts.media import BroadcastState
from appliance.runtime.clock import now_us
from edge.ingest.take_overs import TakeOvers

_SILENT = "edge.ingest.gate._SILENT_US"

SLOT, OTHER = ("channel0", "primary"), ("channel0", "standby")


def test_as_many_as_a_minute_allows() -> None:
    take_overs = TakeOvers(2)
    assert [take_overs.allow(SLOT, now) for now in (0.0, 50.0, 61.0, 62.0)] == [True, True, True, False]
    assert take_overs.allow(OTHER, 62.0)


def test_a_fight_is_over_when_nobody_has_tried_for_a_minute() -> None:
    take_overs = TakeOvers(2)
    tries = [0.0, 2.0, 4.0, 30.0, 70.0, 125.0, 186.0]
    assert [take_overs.allow(SLOT, now) for now in tries] == [True, True, False, False, False, False, True]
    assert take_overs.allow(SLOT, 187.0)


def test_what_is_kept_of_many_channels_is_bounded() -> None:
    take_overs = TakeOvers(1)
    for number in range(10_002):
        assert take_overs.allow((str(number), "primary"), 0.0)
    assert take_overs.allow(("0", "primary"), 1.0)


async def test_take_over_and_its_limit(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_SILENT, 3_600_000_000)
    service = await site.ingest(takeovers_per_minute=2)
    clients = [await site.client(service)]
    clients[0].send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    for epoch in (2, 3):
        clients.append(await site.client(service))
        clients[-1].send(broadcast(3))
        assert b"took over" in await clients[-2].read_all()
        await until(lambda wanted=epoch: site.log.broadcasts()[0].epoch == wanted)  # type: ignore[misc]
    clients.append(await site.client(service))
    assert b"BadName" in await clients[-1].read_all()
    assert len(site.log.broadcasts()) == 1


async def test_who_takes_over_from_itself_after_its_line_broke_fights_with_nobody(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent_us = 200_000
    monkeypatch.setattr(_SILENT, silent_us)
    service = await site.ingest(takeovers_per_minute=0)
    client = await site.client(service)
    client.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    (session,) = service.gate.sessions
    await until(lambda: now_us() - session.heard_us > silent_us)
    again = await site.client(service)
    again.send(broadcast(3))
    await until(lambda: site.log.broadcasts()[0].epoch == 2)
    assert b"took over" in await client.read_all()
