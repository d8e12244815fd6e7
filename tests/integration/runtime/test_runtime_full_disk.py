"""A log whose disk was full: what waits is kept, and the server is started again once there is room."""

import asyncio
import re
import resource
import sys
from pathlib import Path

import pytest
import structlog.testing

from appliance.engines.child import Child
from appliance.engines.store_watch import StoreWatch
from appliance.runtime.appender import Appender
from appliance.runtime.bus import Bus
from appliance.runtime.streams import StreamSpec
from appliance.supervisor import process as supervised
from appliance.supervisor.supervisor import Supervisor

LOG = StreamSpec("LOG", ("log.>",), duplicate_window_s=60)
BINARY = Path(sys.executable).parent / "nats-server"
REFUSAL = (
    "[1] 2030/01/01 00:00:00.000000 [ERR] JetStream failed to store a msg on stream 'LOCAL > MEDIA': "
    "write /data/jetstream/MEDIA/msgs/2.blk: no space left on device\n"
)


def limit_files(pid: int, size: int) -> None:
    """Beyond that size files of a process cannot grow: what a full disk is to it."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


async def test_a_server_that_refuses_what_it_could_not_write_is_started_again(
    server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised, "_WATCH_S", 0.1)
    server.kill()
    for name in ("logs", "run"):
        (tmp_path / name).mkdir()
    child = Child(
        "nats",
        (str(BINARY), "-c", str(tmp_path / "nats.conf")),
        stage=0,
        ready=server._greets,
        watch=lambda log: StoreWatch(log, tmp_path),
    )
    supervisor = Supervisor(tmp_path, {})
    await supervisor.start_stage([child])
    process = supervisor._processes[0]
    bus = await Bus.connect(server.endpoint, name="writer")
    await bus.ensure_stream(LOG)
    appender = Appender(bus)
    await appender.start()

    def append(number: int) -> asyncio.Future[int]:
        return appender.append("log.a", b"%d" % number, message_id=str(number), headers={})

    assert await append(0) == 1
    block = next((tmp_path / "store").rglob("*.blk"))
    first = process.pid
    with structlog.testing.capture_logs() as seen:
        limit_files(first, block.stat().st_size + 40)  # it ends in the middle of a message
        waiting = [append(number) for number in range(1, 50)]
        await asyncio.sleep(0.3)
        assert not any(future.done() for future in waiting)
        limit_files(first, resource.RLIM_INFINITY)
        async with asyncio.timeout(10):
            await asyncio.gather(*waiting)
            while await bus.last_message("LOG", "log.a") is None or (await state(bus))["messages"] < 50:
                await asyncio.sleep(0.02)
    assert process.pid != first
    assert [entry["event"] for entry in seen].count("stuck") == 1
    assert await numbers(bus) == list(range(50))
    await appender.close()
    await bus.close()
    await supervisor.stop()


async def state(bus: Bus) -> dict[str, int]:
    return (await bus.api("STREAM.INFO.LOG"))["state"]


async def numbers(bus: Bus) -> list[int]:
    found = []
    tail = bus.tail("LOG", ["log.>"])
    async for message in tail:
        found.append(int(message.data))
        if len(found) == 50:
            break
    await tail.aclose()
    return found


def test_what_predecessors_said_and_what_is_no_refusal_does_not_count(tmp_path: Path) -> None:
    log = tmp_path / "nats.log"
    log.write_text(REFUSAL)
    watch = StoreWatch(log, tmp_path)
    assert [watch(), watch()] == [False, False]
    with log.open("a") as more:
        more.write(re.sub("write /.*", "maximum messages exceeded", REFUSAL))
    assert not watch()
    with log.open("a") as more:
        more.write(REFUSAL)
    assert [watch(), watch()] == [True, False]
    log.write_text(REFUSAL)  # made anew
    assert watch()


def test_without_room_nothing_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "nats.log"
    monkeypatch.setattr("appliance.engines.store_watch._LEAST_FREE", 1 << 60)
    watch = StoreWatch(log, tmp_path)
    log.write_text(REFUSAL)
    assert [watch(), watch()] == [False, False]
    monkeypatch.setattr("appliance.engines.store_watch._LEAST_FREE", 0)
    log.write_text(REFUSAL * 2)
    assert not watch()  # it may be from before there was room
    log.write_text(REFUSAL * 3)
    assert watch()
