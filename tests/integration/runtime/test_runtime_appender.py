"""Appends in a pipeline: none acknowledged is lost, order per subject is kept, other writers fence it off."""

import asyncio
import itertools
import math
from collections.abc import AsyncIterator

import pytest
import uvloop

from appliance.contracts.errors import WrongSequenceError
from appliance.runtime.appender import TICK_S, Appender
from appliance.runtime.bus import Bus
from appliance.runtime.streams import StreamSpec

LOG = StreamSpec("LOG", ("log.>",), duplicate_window_s=60)
SUBJECTS = ("log.a", "log.b", "log.c")


@pytest.fixture
async def appender(bus: Bus) -> AsyncIterator[Appender]:
    await bus.ensure_stream(LOG)
    made = Appender(bus)
    await made.start()
    yield made
    await made.close(deadline_s=1)


async def stored(bus: Bus, count: int) -> dict[str, list[int]]:
    """Numbers in the log by subject, once `count` messages are there."""
    found: dict[str, list[int]] = {}
    tail = bus.tail("LOG", ["log.>"])
    async with asyncio.timeout(20):
        async for message in tail:
            found.setdefault(message.subject, []).append(int(message.data))
            if message.seq >= count:
                break
    await tail.aclose()
    return found


async def feed(appender: Appender, numbers: range, pause_s: float, *, fenced: bool) -> list[asyncio.Future[int]]:
    futures = []
    for number in numbers:
        for subject in SUBJECTS:
            expect = 0 if fenced and number == 0 else None
            futures.append(
                appender.append(
                    subject, b"%d" % number, message_id=f"{subject}-{number}", headers={}, expect_last=expect
                )
            )
        await asyncio.sleep(pause_s)
    return futures


@pytest.mark.parametrize("fenced", [False, True])
async def test_nothing_is_lost_or_doubled_when_the_server_is_killed(
    appender: Appender, bus: Bus, server, fenced: bool
) -> None:
    feeding = asyncio.ensure_future(feed(appender, range(300), 0.01, fenced=fenced))
    for pause_s in (0.0, 0.2, 1.2):
        await asyncio.sleep(0.6)
        await server.restart(pause_s)
    futures = await feeding
    async with asyncio.timeout(20):
        sequences = await asyncio.gather(*futures)
    assert len(set(sequences)) == len(futures)
    assert appender.pending_bytes == 0
    found = await stored(bus, len(futures))
    assert found == {subject: list(range(300)) for subject in SUBJECTS}


@pytest.mark.parametrize("fenced", [False, True])
@pytest.mark.parametrize("goes_on", [False, True])
async def test_what_a_killed_server_acknowledged_and_lost_is_appended_again(
    appender: Appender, bus: Bus, server, fenced: bool, goes_on: bool
) -> None:
    await asyncio.gather(*await feed(appender, range(5), 0.0, fenced=fenced))
    await server.keep()
    await asyncio.gather(*await feed(appender, range(5, 9), 0.0, fenced=fenced))
    server.kill_and_forget()
    count = 9
    if goes_on:
        later = await feed(appender, range(9, 12), 0.0, fenced=fenced)
        count = 12
    await server.start()
    assert await stored(bus, count * len(SUBJECTS)) == {subject: list(range(count)) for subject in SUBJECTS}
    if goes_on:
        await asyncio.gather(*later)
    assert appender.pending_bytes == 0


async def test_another_writer_is_not_taken_for_a_loss(appender: Appender, bus: Bus, server) -> None:
    await asyncio.gather(*await feed(appender, range(3), 0.0, fenced=True))
    await bus.append("log.a", b"99", message_id="somebody else's")
    await server.restart(0.1)
    (theirs, *_) = await feed(appender, range(3, 4), 0.0, fenced=True)
    with pytest.raises(WrongSequenceError):
        await asyncio.wait_for(theirs, 10)
    assert (await stored(bus, 12))["log.a"] == [0, 1, 2, 99]


async def test_acknowledged_means_durable(appender: Appender, bus: Bus, server) -> None:
    acknowledged: set[str] = set()
    for number in range(200):
        future = appender.append("log.a", b"%d" % number, message_id=str(number), headers={})
        future.add_done_callback(lambda _, name=str(number): acknowledged.add(name))
    while len(acknowledged) < 20:
        await asyncio.sleep(0.001)
    server.kill()
    before = set(acknowledged)
    await server.start()
    async with asyncio.timeout(15):
        await appender.drained()
    found = await stored(bus, 200)
    assert found["log.a"] == list(range(200))
    assert {int(name) for name in before} <= set(found["log.a"])


async def test_another_writer_fences_it_off(appender: Appender, bus: Bus, connect) -> None:
    first = await appender.append("log.a", b"0", message_id="0", headers={}, expect_last=0)
    await appender.append("log.a", b"1", message_id="1", headers={})
    other = await connect()
    await other.append("log.a", b"2", message_id="other", expect_last_subject_sequence=first + 1)
    late = [appender.append("log.a", b"3", message_id=f"late{n}", headers={}) for n in range(3)]
    free = appender.append("log.b", b"0", message_id="b0", headers={})
    results = await asyncio.gather(*late, return_exceptions=True)
    assert all(isinstance(result, WrongSequenceError) for result in results)
    assert await free
    assert (await stored(bus, 4))["log.a"] == [0, 1, 2]


async def test_a_wrong_start_is_refused_at_once(appender: Appender, bus: Bus) -> None:
    await bus.append("log.a", b"0", message_id="0")
    with pytest.raises(WrongSequenceError):
        await appender.append("log.a", b"1", message_id="1", headers={}, expect_last=0)


async def test_pending_bytes_are_the_spool(appender: Appender, server) -> None:
    server.kill()
    await asyncio.sleep(0.1)
    for number in range(10):
        appender.append("log.a", bytes(1000), message_id=str(number), headers={})
    assert appender.pending_bytes == 10_000
    await server.start()
    async with asyncio.timeout(10):
        await appender.drained(below_bytes=0)
    assert appender.pending_bytes == 0


async def test_a_fenced_subject_without_a_writer_is_forgotten(
    appender: Appender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.runtime.appender._FORGET_S", 0.2)
    await appender.append("log.a", b"1", message_id="a1", headers={}, expect_last=0)
    assert list(appender._lanes) == ["log.a"]
    async with asyncio.timeout(3):
        while appender._lanes:
            await asyncio.sleep(0.02)
    assert not appender._tokens


async def test_what_is_appended_before_a_tick_leaves_with_it(appender: Appender, bus: Bus) -> None:
    waiting = [b"0", b"1"]
    futures: list[asyncio.Future[int]] = []

    def work() -> float:
        while waiting:
            data = waiting.pop(0)
            futures.append(appender.append(f"log.{data.decode()}", data, message_id=data.decode(), headers={}))
        return math.inf

    appender.before_tick(work)
    appender.tick_soon()
    async with asyncio.timeout(3):
        while not futures:
            await asyncio.sleep(0)
        assert all(lane.flying for lane in appender._lanes.values())
        assert sorted(await asyncio.gather(*futures)) == [1, 2]


async def test_an_append_at_once_does_not_wait_for_a_tick(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    await bus.ensure_stream(LOG)
    monkeypatch.setattr("appliance.runtime.appender._IDLE_S", 600.0)
    appender = Appender(bus, tick_s=0.0)
    await appender.start()
    try:
        await asyncio.sleep(0.02)  # it has looked, and found nothing
        for number in range(3):
            futures = [
                appender.append(subject, b"%d" % number, message_id=f"{subject}-{number}", headers={})
                for subject in SUBJECTS
            ]
            async with asyncio.timeout(3):
                assert len(set(await asyncio.gather(*futures))) == len(SUBJECTS)
    finally:
        await appender.close(deadline_s=1)


async def test_ticks_come_when_they_are_wanted(appender: Appender) -> None:
    loop = asyncio.get_running_loop()
    ticks: list[float] = []
    pauses = iter([0.03, 0.0, 0.04])

    def work() -> float:
        ticks.append(loop.time())
        return loop.time() + next(pauses, math.inf)

    appender.before_tick(work)
    appender.tick_soon()
    async with asyncio.timeout(3):
        while len(ticks) < 4:
            await asyncio.sleep(0.001)
    first, second, third = (after - before for before, after in itertools.pairwise(ticks[:4]))
    assert first >= 0.029
    assert second >= 0.0019, "as soon as it was wanted, and never without a pause"
    assert third >= 0.039


async def test_who_only_appends_waits_for_the_time_between_two_ticks(appender: Appender) -> None:
    loop = asyncio.get_running_loop()
    ticks: list[float] = []

    def work() -> float:
        ticks.append(loop.time())
        return math.inf

    appender.before_tick(work)
    for number in range(20):
        await appender.append("log.a", b"1", message_id=str(number), headers={})
    pauses = [after - before for before, after in itertools.pairwise(ticks)]
    assert len(pauses) >= 19
    assert min(pauses) >= TICK_S - 0.001


async def test_on_the_loop_of_roles_no_tick_comes_before_it_is_wanted(server) -> None:
    async def scenario() -> list[float]:
        bus = await Bus.connect(server.endpoint, name="roles")
        appender = Appender(bus)
        await appender.start()
        loop = asyncio.get_running_loop()
        wanted, early = [0.0], list[float]()

        def work() -> float:
            now = loop.time()
            early.append(wanted[-1] - now)
            wanted.append(now + 0.0073 + 0.0001 * (len(wanted) % 10))
            return wanted[-1]

        appender.before_tick(work)
        while len(early) < 30:
            await asyncio.sleep(0.01)
        await appender.close()
        await bus.close()
        return early

    assert max(await asyncio.to_thread(uvloop.run, scenario())) <= 0.0


async def test_on_the_loop_of_roles_what_comes_after_a_silence_leaves_at_once(server) -> None:
    async def scenario() -> list[int]:
        bus = await Bus.connect(server.endpoint, name="roles")
        await bus.ensure_stream(LOG)
        made = Appender(bus)
        await made.start()
        sequences: list[int] = []
        for number in range(3):
            await asyncio.sleep(0.05)
            names = [f"{subject}-{number}" for subject in SUBJECTS]
            queued = [
                made.append(subject, b"0", message_id=name, headers={})
                for subject, name in zip(SUBJECTS, names, strict=True)
            ]
            sequences += await asyncio.gather(*queued)
        await made.close()
        await bus.close()
        return sequences

    assert sorted(await asyncio.to_thread(uvloop.run, scenario())) == list(range(1, 10))
