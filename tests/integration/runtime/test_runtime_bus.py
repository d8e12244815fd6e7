"""Core messages, durable appends and buckets, against a real server that is also killed."""

import asyncio
import random

import nats.errors
import pytest

from appliance.contracts.errors import ConflictError, UnavailableError, WrongSequenceError
from appliance.runtime.backoff import Backoff
from appliance.runtime.bus import Bus, BusMessage
from appliance.runtime.streams import BucketSpec, StreamSpec

LOG = StreamSpec("LOG", ("log.>",), duplicate_window_s=60)


async def test_request_and_reply(bus: Bus, connect) -> None:
    other = await connect()

    async def answer(message: BusMessage) -> None:
        await message.reply(message.data.upper())

    await other.subscribe("ask", answer)
    assert await asked(bus, "ask", b"word") == b"WORD"


async def asked(bus: Bus, subject: str, data: bytes) -> bytes:
    """The answer, once the server knows of who answers."""
    async with asyncio.timeout(5):
        while True:
            try:
                return await bus.request(subject, data)
            except UnavailableError:
                await asyncio.sleep(0.02)


async def test_request_that_nobody_answers(bus: Bus) -> None:
    with pytest.raises(UnavailableError):
        await bus.request("nobody", b"", timeout_s=0.2)


@pytest.mark.parametrize("size", [0, 1, 300_000])
async def test_what_is_sent_arrives_whole_between_others(bus: Bus, size: int) -> None:
    heard: asyncio.Queue[BusMessage] = asyncio.Queue()

    async def hear(message: BusMessage) -> None:
        heard.put_nowait(message)

    await bus.subscribe("to.*", hear)
    data = random.randbytes(size)
    for index in range(3):
        await bus.publish("to.before", b"PUB to.before 2\r\n")
        bus.post("to.here", data, reply="back", message_id="id", headers={"One": f"{index} x", "Two": ""})
        bus.flush()
    async with asyncio.timeout(5):
        found = [await heard.get() for _ in range(6)]
    assert [message.subject for message in found] == ["to.before", "to.here"] * 3
    assert [dict(message.headers) for message in found[1::2]] == [
        {"Nats-Msg-Id": "id", "One": f"{index} x", "Two": ""} for index in range(3)
    ]
    assert all(message.data == data for message in found[1::2])


@pytest.mark.parametrize(
    ("subject", "reply", "value"),
    [("a b", "r", "v"), ("a", "r\r\nPUB x 0", "v"), ("a", "r", "v\r\nOther: w"), ("a", "r", "\u00e9")],
)
async def test_nothing_can_be_slipped_into_what_is_sent(bus: Bus, subject: str, reply: str, value: str) -> None:
    with pytest.raises(nats.errors.BadSubjectError):
        bus.post(subject, b"", reply=reply, message_id="id", headers={"One": value})


async def test_a_request_whose_server_dies_fails_at_once_and_the_next_is_sent_when_it_is_back(
    bus: Bus, connect, server
) -> None:
    other = await connect()
    asked_for: asyncio.Queue[BusMessage] = asyncio.Queue()

    async def hear(message: BusMessage) -> None:
        asked_for.put_nowait(message)

    await other.subscribe("ask", hear)
    await bus.ensure_stream(LOG)
    asking = asyncio.ensure_future(bus.request("ask", b"", timeout_s=60))
    await asyncio.sleep(0.1)
    server.kill()
    async with asyncio.timeout(5):
        with pytest.raises(UnavailableError):
            await asking
    while bus.connected:
        await asyncio.sleep(0.01)
    appending = asyncio.ensure_future(bus.append("log.a", b"x", message_id="one"))
    waiting = asyncio.ensure_future(bus.api("STREAM.INFO.LOG", timeout_s=60))
    await asyncio.sleep(0.1)
    await server.start()
    async with asyncio.timeout(10):
        assert (await waiting)["config"]["name"] == "LOG"
        assert await appending == 1


async def test_a_request_while_the_server_is_away_ends_in_time(bus: Bus, server) -> None:
    server.kill()
    while bus.connected:
        await asyncio.sleep(0.01)
    async with asyncio.timeout(2):
        with pytest.raises(UnavailableError):
            await bus.request("ask", b"", timeout_s=0.1)


async def test_who_never_gets_an_answer_is_told_so(server) -> None:
    server.kill()
    async with asyncio.timeout(5):
        with pytest.raises(UnavailableError):
            await Bus.connect(server.endpoint, name="early", deadline_s=0.2)


class Noted(Backoff):
    """Says how long it let wait."""

    def __init__(self) -> None:
        super().__init__(0.02, 0.05)
        self.delays: list[float] = []

    def next_delay(self) -> float:
        self.delays.append(super().next_delay())
        return self.delays[-1]


async def test_the_tries_to_come_back_spread_out_and_never_end(bus: Bus, server) -> None:
    bus.returning = noted = Noted()
    server.kill()
    async with asyncio.timeout(10):
        while len(noted.delays) < 10:
            await asyncio.sleep(0.01)
        await server.start()
        while not bus.connected:
            await asyncio.sleep(0.01)
    assert len(set(noted.delays)) == len(noted.delays), "no two the same"


async def test_subscription_survives_the_server(bus: Bus, connect, server) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(message: BusMessage) -> None:
        heard.put_nowait(message.data)

    await bus.subscribe("news", hear)
    await server.restart()
    other = await connect()
    async with asyncio.timeout(10):
        while heard.empty():
            await other.publish("news", b"after")
            await asyncio.sleep(0.05)
    assert heard.get_nowait() == b"after"


async def test_same_message_id_is_stored_once(bus: Bus, server) -> None:
    await bus.ensure_stream(LOG)
    first = await bus.append("log.a", b"x", message_id="one")
    assert await bus.append("log.a", b"x", message_id="one") == first
    await server.restart()
    assert await bus.append("log.a", b"x", message_id="one") == first
    assert await bus.last_sequence("LOG") == first


async def test_append_expects_the_last_sequence(bus: Bus) -> None:
    await bus.ensure_stream(LOG)
    first = await bus.append("log.a", b"1", message_id="1", expect_last_subject_sequence=0)
    await bus.append("log.b", b"1", message_id="2", expect_last_subject_sequence=0)
    with pytest.raises(WrongSequenceError):
        await bus.append("log.a", b"2", message_id="3", expect_last_subject_sequence=0)
    await bus.append("log.a", b"2", message_id="4", expect_last_subject_sequence=first)


async def test_append_waits_for_the_server(bus: Bus, server) -> None:
    await bus.ensure_stream(LOG)
    server.kill()
    waiting = asyncio.ensure_future(bus.append("log.a", b"x", message_id="1", deadline_s=10))
    await asyncio.sleep(0.3)
    await server.start()
    assert await waiting == 1


async def test_append_gives_up_at_its_deadline(bus: Bus, server) -> None:
    await bus.ensure_stream(LOG)
    server.kill()
    with pytest.raises(UnavailableError):
        await bus.append("log.a", b"x", message_id="1", deadline_s=0.3)


async def test_full_log_says_so(bus: Bus) -> None:
    await bus.ensure_stream(StreamSpec("SMALL", ("small",), max_bytes=4096, refuse_when_full=True))
    with pytest.raises(UnavailableError) as refused:
        for number in range(10):
            await bus.append("small", bytes(1000), message_id=str(number))
    assert refused.value.code == "log_full"


async def test_last_message_of_a_subject(bus: Bus) -> None:
    await bus.ensure_stream(LOG)
    assert await bus.last_message("LOG", "log.a") is None
    await bus.append("log.a", b"1", message_id="1", headers={"Chunk": "header"})
    await bus.append("log.b", b"2", message_id="2")
    found = await bus.last_message("LOG", "log.a")
    assert found is not None
    assert (found.seq, found.data, found.headers["Chunk"]) == (1, b"1", "header")


async def test_ensure_changes_a_stream_in_place(bus: Bus) -> None:
    await bus.ensure_stream(LOG)
    await bus.append("log.a", b"1", message_id="1")
    await bus.ensure_stream(StreamSpec("LOG", ("log.>",), max_age_s=60, duplicate_window_s=30))
    assert await bus.last_sequence("LOG") == 1


async def test_bucket_compare_and_set(bus: Bus) -> None:
    await bus.ensure_bucket(BucketSpec("things"))
    things = bus.bucket("things")
    assert await things.get("a") is None
    revision = await things.create("a", b"1")
    with pytest.raises(ConflictError):
        await things.create("a", b"2")
    later = await things.update("a", b"3", revision)
    with pytest.raises(ConflictError):
        await things.update("a", b"4", revision)
    entry = await things.get("a")
    assert entry is not None and (entry.value, entry.revision) == (b"3", later)
    await things.put("b", b"5")
    assert await things.items() == [("a", b"3"), ("b", b"5")]
    await things.delete("a")
    assert await things.get("a") is None
    assert await things.items() == [("b", b"5")]
    await things.create("a", b"6")


async def test_the_mark_of_a_removal_is_dropped_when_that_is_wanted(bus: Bus) -> None:
    await bus.ensure_bucket(BucketSpec("things"))
    things = bus.bucket("things")
    for key, forget_s in (("kept", 0), ("dropped", 1)):
        await things.put(key, b"1")
        await things.delete(key, forget_s=forget_s)
        assert await things.get(key) is None

    async def marks() -> list[str]:
        state = (await bus.api("STREAM.INFO.KV_things", {"subjects_filter": ">"}))["state"]
        return sorted(state.get("subjects") or {})

    assert await marks() == ["$KV.things.dropped", "$KV.things.kept"]
    async with asyncio.timeout(10):
        while await marks() != ["$KV.things.kept"]:
            await asyncio.sleep(0.1)


async def test_a_cancellation_that_comes_with_the_answer_is_not_lost(bus: Bus) -> None:
    await bus.ensure_bucket(BucketSpec("things"))
    things = bus.bucket("things")

    async def work() -> None:
        while True:
            await things.put("a", b"1")

    for _ in range(100):
        task = asyncio.ensure_future(work())
        await asyncio.sleep(random.uniform(0.0, 0.004))
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=3)
        assert done, "it goes on"
        assert task.cancelled()


async def test_one_of_many_creators_wins(bus: Bus) -> None:
    await bus.ensure_bucket(BucketSpec("things"))
    things = bus.bucket("things")
    made = await asyncio.gather(*(things.create("a", b"%d" % n) for n in range(10)), return_exceptions=True)
    assert len([one for one in made if isinstance(one, int)]) == 1
    assert all(isinstance(one, int | ConflictError) for one in made)


async def test_a_bounded_bucket_drops_what_was_written_longest_ago(bus: Bus) -> None:
    await bus.ensure_bucket(BucketSpec("shelf", max_bytes=100_000))
    shelf = bus.bucket("shelf")
    for number in range(8):
        await shelf.put(f"k{number % 4}", bytes([number]) * 30_000)
    assert [key for key, _ in await shelf.items()] == ["k1", "k2", "k3"]
    entry = await shelf.get("k3")
    assert entry is not None and entry.value[0] == 7
