"""A whole node with one 1080p30 publisher of 6 Mbit/s and three rungs: start, lateness, memory, take-over.

The start is the time from the first part of a new broadcast's source in the log to the first part of each rung.

Lateness is the time from the arrival of a part's last frame at ingest until the log has that part of the last rung,
by its server's clock, and until a reader has it; the first is also told as a multiple of what decoding, scaling and
encoding alone take here, measured in the same run before and after. Memory is what the transcoder's process takes
beyond idle. The take-over is a kill -9.
"""

import asyncio
import contextlib
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from appliance.commands.place import running_settings
from appliance.contracts import subjects
from appliance.contracts.media import CHUNK_HEADER, SOURCE, ChunkFlag, ChunkHeader
from appliance.runtime.bus import Bus, Endpoint
from appliance.runtime.clock import now_us
from tests.bench import transcode_limit
from tests.bench.footprint import memory_mb
from tests.bench.ingest_publishers import Publishers, make_clip
from tests.e2e.e2e_node import Node

RUNGS = ("720p", "480p", "360p")
MEDIAN_S, P95_S = 0.020, 0.040
MEMORY_MB = 70.0
TAKE_OVER_S = 2.0
START_S = 1.0
STARTS = 3
BUSY = 0.7  # of the machine: beyond it the lateness is that of a machine without room
SECONDS = 30.0
LIMIT_S = 8.0
_SETTLE_S = 8.0
_BEGIN_S = 20.0


class _Arrivals(NamedTuple):
    """Parts as the log has them: by rung, (msn, part) to arrival and lateness, in seconds.

    `late` is told by the log, `read` by its reader.
    """

    at: dict[str, dict[tuple[int, int], float]]
    late: dict[tuple[int, int], float]
    read: dict[tuple[int, int], float]


def main() -> int:
    """Prints the figures; 1 when one misses its target."""
    node = Node()
    node.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            clip = make_clip(Path(folder), "6 Mbit/s")
            channel = node.channel("bench")
            idle = _memory(node)
            limit = transcode_limit.measure(clip, LIMIT_S)
            with Publishers(clip, [channel.publish_url]) as publishers:
                publishers.settle(_SETTLE_S)
                busy, arrivals = _busy(lambda: asyncio.run(_parts(node, SECONDS)))
                memory = _memory(node) - idle
                killed = node.kill("transcode")
                after = asyncio.run(_parts(node, 8.0))
            limit += transcode_limit.measure(clip, LIMIT_S)
            starts = [_start(node, clip, node.channel("start").publish_url) for _ in range(STARTS)]
        _report_limit(sorted(arrivals.late.values()), sorted(limit))
        return max(_report_starts(starts), _report(busy, arrivals, memory, killed, after))
    finally:
        node.remove()


def _report(busy: float, arrivals: _Arrivals, memory: float, killed: float, after: _Arrivals) -> int:
    late = sorted(arrivals.late.values())
    median, p95 = statistics.median(late), late[int(len(late) * 0.95)]
    counts = busy <= BUSY
    good = median <= MEDIAN_S and p95 <= P95_S
    words = "" if counts else f", the machine was {busy:.0%} busy: does not count"
    print(
        f"transcode: last rung late by {1000 * median:.1f} ms median, {1000 * p95:.1f} ms p95, {len(late)} parts, "
        f"targets {1000 * MEDIAN_S:.0f} and {1000 * P95_S:.0f} {_verdict(good)}{words}; "
        f"a reader has it after {1000 * statistics.median(arrivals.read.values()):.0f} ms median"
    )
    print(f"transcode: memory of a ladder {memory:.0f} MB, target {MEMORY_MB:.0f} {_verdict(memory < MEMORY_MB)}")
    firsts = [min(at.values()) - killed for at in after.at.values() if at]
    took = max(firsts) if len(firsts) == len(RUNGS) else float("inf")
    print(f"transcode: {took:.2f} s from kill -9 to a new part of every rung, target {TAKE_OVER_S} "
          f"{_verdict(took < TAKE_OVER_S)}")  # fmt: skip
    return 0 if (good or not counts) and memory < MEMORY_MB and took < TAKE_OVER_S else 1


def _report_starts(starts: list[float]) -> int:
    each = ", ".join(f"{start:.2f}" for start in starts)
    good = max(starts) < START_S
    print(f"transcode: {each} s from the source's first part to the first part of every rung, target {START_S} "
          f"{_verdict(good)}")  # fmt: skip
    return 0 if good else 1


def _report_limit(late: list[float], limit: list[float]) -> None:
    """Of a part the last frame counts, of the limit each frame."""
    median, least = statistics.median(late), statistics.median(limit)
    p95 = limit[int(len(limit) * 0.95)]
    print(
        f"transcode: decoding, scaling and encoding alone {1000 * least:.0f} ms median, {1000 * p95:.0f} ms p95: "
        f"the last rung is late by {median / least:.2f} times that"
    )


def _verdict(good: bool) -> str:
    return "PASS" if good else "FAIL"


def _memory(node: Node) -> float:
    pid = node.roles()["transcode"].pid
    assert pid is not None
    return memory_mb([pid])


def _busy(work):  # type: ignore[no-untyped-def]  # whatever `work` gives
    """The share of the machine that was busy meanwhile, and what `work` gives."""
    before = _ticks()
    found = work()
    after = _ticks()
    return 1 - (after[0] - before[0]) / (after[1] - before[1]), found


def _ticks() -> tuple[int, int]:
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def _start(node: Node, clip: Path, url: str) -> float:
    """Seconds from the first part of a new broadcast's source to the first part of the last of its rungs."""
    with Publishers(clip, [url]):
        at = asyncio.run(_firsts(node))
    return max(at[rung] for rung in RUNGS) - at[SOURCE]


async def _firsts(node: Node) -> dict[str, float]:
    """When the log got the first part of each rendition of a broadcast that begins now, by the server's clock."""
    bus = await Bus.connect(Endpoint(running_settings(node.data).bus.local_url), name="bench")
    try:
        start = await bus.last_sequence(subjects.MEDIA_STREAM) + 1
        found: dict[str, dict[str, float]] = {}
        async with (
            asyncio.timeout(_BEGIN_S),
            contextlib.aclosing(bus.tail(subjects.MEDIA_STREAM, ["media.>"], start)) as tail,
        ):
            async for message in tail:
                header = ChunkHeader.decode(message.headers[CHUNK_HEADER])
                if (header.msn, header.part) == (0, 0) and header.flags & ChunkFlag.LAST_OF_PART:
                    _, broadcast, rendition = message.subject.split(".")
                    at = found.setdefault(broadcast, {})
                    at[rendition] = message.time_us / 1e6
                    if at.keys() >= {*RUNGS, SOURCE}:
                        return at
        raise AssertionError("the log ended")
    finally:
        await bus.close()


async def _parts(node: Node, seconds: float) -> _Arrivals:
    """Every part of the rungs that comes in so many seconds."""
    bus = await Bus.connect(Endpoint(running_settings(node.data).bus.local_url), name="bench")
    try:
        broadcast = await _broadcast(bus)
        filters = [subjects.media(broadcast, rung) for rung in RUNGS]
        last = [await bus.last_message(subjects.MEDIA_STREAM, subject) for subject in filters]
        start = max((message.seq for message in last if message is not None), default=0) + 1
        found = _Arrivals({rung: {} for rung in RUNGS}, {}, {})
        try:
            async with asyncio.timeout(seconds):
                async for message in bus.tail(subjects.MEDIA_STREAM, filters, start):
                    header = ChunkHeader.decode(message.headers[CHUNK_HEADER])
                    if message.data and header.flags & ChunkFlag.LAST_OF_PART:
                        place = header.msn, header.part
                        found.at[message.subject.rpartition(".")[2]][place] = time.monotonic()
                        for late, until_us in ((found.late, message.time_us), (found.read, now_us())):
                            late[place] = max((until_us - header.late_us) / 1e6, late.get(place, 0.0))
        except TimeoutError:
            pass
        return found
    finally:
        await bus.close()


async def _broadcast(bus: Bus) -> str:
    for key, value in await bus.bucket(subjects.LIVE_BUCKET).items():
        if key.startswith("broadcast.") and json.loads(value)["state"] == "live":
            return str(json.loads(value)["broadcast_id"])
    raise AssertionError("nothing is live")
