"""The durable consumer gives each message until it is acknowledged, through kills of the server."""

import asyncio

import pytest

from appliance.contracts.errors import UnavailableError
from appliance.runtime.bus import Bus
from appliance.runtime.consumer import PullConsumer
from appliance.runtime.streams import StreamSpec

OUTBOX = StreamSpec("OUTBOX", ("out.>",), duplicate_window_s=60)


@pytest.fixture
async def consumer(bus: Bus) -> PullConsumer:
    await bus.ensure_stream(OUTBOX)
    made = PullConsumer(bus, "OUTBOX", "centre")
    await made.ensure(ack_wait_s=0.5)
    return made


async def test_in_order_and_empty_when_done(bus: Bus, consumer: PullConsumer) -> None:
    for number in range(25):
        await bus.append("out.a", b"%d" % number, message_id=str(number))
    found = []
    while batch := await consumer.fetch(10, 0.3):
        for message in batch:
            found.append(int(message.data))
            await message.ack()
    assert found == list(range(25))


async def test_what_was_asked_for_beyond_what_there_was_stays_asked_for(bus: Bus, consumer: PullConsumer) -> None:
    for number in range(5):
        await bus.append("out.a", b"%d" % number, message_id=str(number))
        [only] = await consumer.fetch(3, 1.0)
        await only.ack()
        assert await consumer.fetch(3, 0.0) == []
        assert (await bus.api("CONSUMER.INFO.OUTBOX.centre"))["num_waiting"] <= 1
    await consumer.close()
    await bus.append("out.a", b"later", message_id="later")
    [last] = await consumer.fetch(3, 3.0)
    assert last.data == b"later"


async def test_not_acknowledged_comes_again(bus: Bus, consumer: PullConsumer) -> None:
    await bus.append("out.a", b"1", message_id="1", headers={"Kind": "test"})
    first = await consumer.fetch(10, 1.0)
    assert [(message.data, message.headers["Kind"]) for message in first] == [(b"1", "test")]
    again = await consumer.fetch(10, 3.0)
    assert [message.seq for message in again] == [message.seq for message in first]
    await again[0].ack()
    assert await consumer.fetch(10, 1.0) == []


async def test_position_survives_a_kill(bus: Bus, consumer: PullConsumer, server) -> None:
    for number in range(10):
        await bus.append("out.a", b"%d" % number, message_id=str(number))
    for message in await consumer.fetch(4, 1.0):
        await message.ack()
    await bus.client.flush()
    await asyncio.sleep(0.1)
    await server.restart()
    seen: set[int] = set()
    async with asyncio.timeout(15):
        while not seen.issuperset(range(4, 10)):
            try:
                batch = await consumer.fetch(10, 0.5)
            except UnavailableError:
                await asyncio.sleep(0.1)
                continue
            for message in batch:
                seen.add(int(message.data))
                await message.ack()
    assert await _drained(consumer)


async def _drained(consumer: PullConsumer) -> bool:
    async with asyncio.timeout(10):
        while True:
            batch = await consumer.fetch(10, 0.8)
            if not batch:
                return True
            for message in batch:
                await message.ack()


async def test_away_server_is_said(consumer: PullConsumer, server) -> None:
    server.kill()
    await asyncio.sleep(0.1)
    with pytest.raises(UnavailableError):
        await consumer.fetch(1, 0.1)
