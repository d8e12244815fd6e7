"""A tail gives every message of its subjects once, in order, whatever happens to the server."""

import asyncio

from appliance.runtime.bus import Bus, LogMessage
from appliance.runtime.streams import StreamSpec
from appliance.runtime.tail import Tail

LOG = StreamSpec("LOG", ("log.>",), duplicate_window_s=60)


async def take(tail, count: int) -> list[LogMessage]:
    found = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found.append(await anext(tail))
    return found


async def fill(bus: Bus, subject: str, numbers: range) -> None:
    for number in numbers:
        await bus.append(subject, b"%d" % number, message_id=f"{subject}-{number}", deadline_s=10)


async def test_from_a_sequence_and_by_subject(bus: Bus) -> None:
    await bus.ensure_stream(LOG)
    await fill(bus, "log.a", range(5))
    await fill(bus, "log.b", range(5))
    tail = bus.tail("LOG", ["log.a"], 3)
    assert [message.seq for message in await take(tail, 3)] == [3, 4, 5]
    await tail.aclose()
    both = bus.tail("LOG", ["log.a", "log.b"])
    assert [message.seq for message in await take(both, 10)] == list(range(1, 11))
    await both.aclose()


async def test_pending_tells_the_end(bus: Bus) -> None:
    await bus.ensure_stream(LOG)
    await fill(bus, "log.a", range(3))
    tail = bus.tail("LOG", ["log.>"])
    assert [message.pending for message in await take(tail, 3)] == [2, 1, 0]
    await tail.aclose()


async def test_more_than_one_batch(bus: Bus) -> None:
    await bus.ensure_stream(LOG)
    await asyncio.gather(*(bus.append("log.a", b"x", message_id=str(number)) for number in range(700)))
    tail = bus.tail("LOG", ["log.>"])
    assert [message.seq for message in await take(tail, 700)] == list(range(1, 701))
    await tail.aclose()


async def test_no_more_waits_than_the_reader_allows(bus: Bus) -> None:
    await bus.ensure_stream(LOG)
    await asyncio.gather(*(bus.append("log.a", b"x", message_id=str(number)) for number in range(50)))
    reader = Tail(bus, "LOG", ["log.>"], 1, ahead=3)
    messages = reader.messages()
    assert [message.seq for message in await take(messages, 1)] == [1]
    await asyncio.sleep(0.1)  # what was asked for has come
    assert 0 < len(reader._queue) <= 3
    assert [message.seq for message in await take(messages, 49)] == list(range(2, 51))
    await messages.aclose()


async def test_each_once_through_kills(bus: Bus, connect, server) -> None:
    await bus.ensure_stream(LOG)
    writer = await connect()
    tail = bus.tail("LOG", ["log.>"])
    writing = asyncio.ensure_future(fill(writer, "log.a", range(400)))
    taking = asyncio.ensure_future(take(tail, 400))
    for pause_s in (0.0, 0.3):
        await asyncio.sleep(0.1)
        await server.restart(pause_s)
    await writing
    assert [int(message.data) for message in await taking] == list(range(400))
    await tail.aclose()


async def test_start_before_the_oldest_is_the_oldest(bus: Bus) -> None:
    await bus.ensure_stream(StreamSpec("LOG", ("log.>",), duplicate_window_s=60))
    await fill(bus, "log.a", range(5))
    await bus.api("STREAM.PURGE.LOG", {"seq": 4})
    tail = bus.tail("LOG", ["log.>"], 1)
    assert [message.seq for message in await take(tail, 2)] == [4, 5]
    await tail.aclose()


async def test_stream_made_anew_is_read_from_its_beginning(bus: Bus) -> None:
    await bus.ensure_stream(LOG)
    await fill(bus, "log.a", range(5))
    tail = bus.tail("LOG", ["log.>"])
    await take(tail, 5)
    await bus.api("STREAM.DELETE.LOG")
    await bus.ensure_stream(LOG)
    await bus.append("log.a", b"new", message_id="new")
    (message,) = await take(tail, 1)
    assert (message.data, message.anew) == (b"new", True)
    await tail.aclose()


async def test_a_server_that_lost_the_end_of_the_log(bus: Bus, server) -> None:
    """Its writers append again, in another order: everything is read, nothing twice."""
    await bus.ensure_stream(LOG)
    await fill(bus, "log.a", range(5))
    await server.keep()
    tail = bus.tail("LOG", ["log.>"])
    await fill(bus, "log.a", range(5, 8))
    assert [int(message.data) for message in await take(tail, 8)] == list(range(8))
    server.kill_and_forget()
    await server.start()
    await fill(bus, "log.b", range(100, 103))  # at sequences that others had
    await fill(bus, "log.a", range(5, 10))
    found = await take(tail, 5)
    assert [int(message.data) for message in found] == [100, 101, 102, 8, 9]
    assert not any(message.anew for message in found)
    await tail.aclose()


async def test_waits_for_a_stream_that_is_not_there_yet(bus: Bus) -> None:
    tail = bus.tail("LOG", ["log.>"])
    taking = asyncio.ensure_future(take(tail, 1))
    await asyncio.sleep(0.3)
    await bus.ensure_stream(LOG)
    await bus.append("log.a", b"first", message_id="1")
    assert [message.data for message in await taking] == [b"first"]
    await tail.aclose()


async def waiting_requests(bus: Bus) -> int:
    """Of the only consumer of the log: one that rests has asked for nothing."""
    (consumer,) = (await bus.api("CONSUMER.LIST.LOG"))["consumers"]
    return int(consumer["num_waiting"])


async def test_a_reader_that_need_not_be_prompt_gets_everything(bus: Bus) -> None:
    await bus.ensure_stream(LOG)
    await asyncio.gather(*(bus.append("log.a", b"x", message_id=str(number)) for number in range(100)))
    reader = Tail(bus, "LOG", ["log.>"], 1, ahead=8, every_s=1.0)
    messages = reader.messages()
    assert [message.seq for message in await take(messages, 100)] == list(range(1, 101))
    taking = asyncio.ensure_future(take(messages, 5))
    await asyncio.sleep(0.3)  # it has come to the end
    assert await waiting_requests(bus) == 0
    await fill(bus, "log.a", range(1000, 1005))
    assert not taking.done()
    assert [message.seq for message in await taking] == list(range(101, 106))
    await messages.aclose()


async def test_a_reader_that_rests_reads_on_after_a_kill(bus: Bus, server) -> None:
    await bus.ensure_stream(LOG)
    await fill(bus, "log.a", range(3))
    tail = bus.tail("LOG", ["log.>"], every_s=60.0)
    await take(tail, 3)
    taking = asyncio.ensure_future(take(tail, 3))
    await asyncio.sleep(0.1)
    await fill(bus, "log.a", range(3, 6))
    await server.restart(0.1)
    assert [int(message.data) for message in await taking] == [3, 4, 5]
    await tail.aclose()
