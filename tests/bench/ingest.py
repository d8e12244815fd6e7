"""The whole way in against nginx with its RTMP module writing HLS, in turns.

    ./nearcast bench ingest [--streams=40] [--seconds=10] [--rounds=3] [--late=0] [--least=200]

ffmpeg copies a clip in real time, again and again, `streams` times. Ours is the ingest process and the NATS
server that keeps the part log (nothing is transcoded); the peer is one nginx process with fragments of 2 s.
CPU and memory are those beyond idle, once the NATS server holds what it always holds, the last ten seconds; of CPU
the median of the rounds' ratios counts. Part lateness is measured with as many publishers, or `late`: from the
arrival of a part's last frame (`ChunkHeader.late_us`) until a reader of the log has the part, and until a viewer
has it who asked for it before. What a publisher costs that sends next to nothing, with the log and without
transcoder, says how many a core can have: of `least` of them, so many that what does not grow with their number
hardly counts. Figures count only while publishers keep real time.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.bench import ingest_servers as servers
from tests.bench.ingest_publishers import CLIPS, Publishers, make_clip
from tests.bench.ingest_replay import Replay
from tests.bench.ingest_servers import Nginx, Ours, Server
from tests.bench.ingest_viewers import Lateness

CPU_TARGET = {"300 kbit/s": 1.5, "6 Mbit/s": 1.2}  # in this order: memory that is given back costs the next one
MEMORY_TARGET_MB = 10.0
LATE_TARGET_S = 0.100
VIEWER_TARGET_S = 0.010  # in the median
PLAYABLE_TARGET_S = 2.0
LEAST, LEAST_TARGET = "slides", 1_500
IDLE_S = 10.0
SETTLE_S = 12.0
STARVED = 0.97  # of real time; below, the machine had no room for the publishers


class Idle(NamedTuple):
    """What a server took before any load: CPU seconds in IDLE_S by process, memory in MB."""

    cpu: dict[str, float]
    memory: float


class Load(NamedTuple):
    """What one server took for one kind of stream. CPU as share of a core, memory in MB, each per stream."""

    cpu: dict[str, float]  # by process
    memory: float
    speed: float  # of the slowest publisher, 1.0 is real time
    publishers_cpu: float

    @property
    def total(self) -> float:
        return sum(self.cpu.values())


class Late(NamedTuple):
    """How late parts were, and the speed of the slowest of `publishers`."""

    publishers: int
    parts: Lateness
    speed: float


def main(argv: list[str] | None = None) -> int:
    """Prints the ratios; 1 when one misses its target."""
    options = _options(argv or [])
    if absent := servers.absent():
        print(f"ingest: needs {absent}; run: apt-get install nginx-light libnginx-mod-rtmp ffmpeg", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="nearcast-bench-") as name:
        folder = Path(name)
        clips = {kind: make_clip(folder, kind) for kind in CLIPS}
        with contextlib.ExitStack() as stack:
            nginx, ours = Nginx(folder / "nginx"), Ours()
            for server in (nginx, ours):
                stack.callback(server.stop)
                server.start(max(options.streams, options.late, options.least) + 1)
            return _compare(options, clips, nginx, ours)


def _compare(options: argparse.Namespace, clips: dict[str, Path], nginx: Nginx, ours: Ours) -> int:
    both: tuple[Server, Server] = (nginx, ours)
    idle = {server.name: Idle(_cpu_of(server, lambda: time.sleep(IDLE_S)), server.memory_mb()) for server in both}
    playable = {server.name: time_to_playable(server, clips["6 Mbit/s"]) for server in both}
    rounds: dict[str, list[tuple[Load, Load]]] = {}
    for kind in CPU_TARGET:
        for _ in range(options.rounds):
            peer, own = (
                measure(server, clips[kind], options.streams, options.seconds, idle[server.name]) for server in both
            )
            rounds.setdefault(kind, []).append((peer, own))
    count = options.late or options.streams
    late = {kind: lateness(ours, clips[kind], count, options.seconds) for kind in CPU_TARGET}
    least = measure(ours, clips[LEAST], options.least, options.seconds, idle[ours.name], Replay)
    failed = report(options, rounds, late, playable)
    each = 1000 * least.cpu["ingest"]
    print(f"ingest: {options.least} x {LEAST}: {each:.2f} ms of ingest, {1000 * least.total:.2f} ms in all")
    print(f"ingest: so one core can have {1000 / each:.0f} such publishers, aim {LEAST_TARGET}")
    _say_load(options.least, LEAST, least.speed, least.publishers_cpu)
    return failed


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nearcast bench ingest")
    parser.add_argument("--streams", type=int, default=40, help="publishers at a time")
    parser.add_argument("--seconds", type=float, default=10, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each server, in turns")
    parser.add_argument(
        "--late", type=int, default=0, help="publishers while part lateness is measured; 0: the same"
    )
    parser.add_argument("--least", type=int, default=200, help="publishers that send next to nothing")
    return parser.parse_args(argv)


def time_to_playable(server: Server, clip: Path) -> float:
    """Seconds from the start of one encoder until its playlist can be played; median of three."""
    found = []
    for _ in range(3):
        with Publishers(clip, [server.target(server.count - 1)]) as publishers:
            while not server.playable(server.count - 1):
                if time.monotonic() - publishers.started > 20:
                    raise TimeoutError(f"{server.name} never has a playlist")
                time.sleep(0.01)
            found.append(time.monotonic() - publishers.started)
        server.forget(server.count - 1)
    return statistics.median(found)


def measure(
    server: Server,
    clip: Path,
    streams: int,
    seconds: float,
    idle: Idle,
    kind: type[Publishers | Replay] = Publishers,
) -> Load:
    """CPU and memory per stream, beyond what the idle server takes."""
    with kind(clip, [server.target(index) for index in range(streams)]) as publishers:
        publishers.settle(SETTLE_S)
        before, began = publishers.cpu(), time.monotonic()
        speed = 0.0

        def watch() -> None:
            nonlocal speed
            speed = publishers.speed(seconds)

        used = _cpu_of(server, watch)
        took = time.monotonic() - began
        senders = (publishers.cpu() - before) / took
        memory = server.memory_mb() - idle.memory
    for index in range(streams):
        server.forget(index)
    cpu = {name: (used[name] / took - idle.cpu[name] / IDLE_S) / streams for name in used}
    return Load(cpu, memory / streams, speed, senders / streams)


def _cpu_of(server: Server, work: Callable[[], None]) -> dict[str, float]:
    before = server.cpu()
    work()
    return {name: seconds - before[name] for name, seconds in server.cpu().items()}


def lateness(server: Ours, clip: Path, streams: int, seconds: float) -> Late:
    """With so many publishers."""
    with Publishers(clip, [server.target(index) for index in range(streams)]) as publishers:
        publishers.settle(SETTLE_S)

        async def both() -> tuple[Lateness, float]:
            watching = asyncio.ensure_future(server.late_parts(streams, seconds))
            speed = await asyncio.to_thread(publishers.speed, seconds)
            return await watching, speed

        found, speed = asyncio.run(both())
    for index in range(streams):
        server.forget(index)
    return Late(streams, found, speed)


def report(
    options: argparse.Namespace,
    rounds: dict[str, list[tuple[Load, Load]]],
    late: dict[str, Late],
    playable: dict[str, float],
) -> int:
    """Prints everything that was measured against its target."""
    failed = 0

    def verdict(good: bool) -> str:
        nonlocal failed
        failed += not good
        return "PASS" if good else "FAIL"

    for kind, target in CPU_TARGET.items():
        ratios = sorted(_ratio(peer, ours) for peer, ours in rounds[kind])
        peer, ours = min(rounds[kind], key=lambda pair: abs(_ratio(*pair) - ratios[len(ratios) // 2]))
        each = ", ".join(f"{name} {1000 * cpu:.2f}" for name, cpu in ours.cpu.items())
        ratio = statistics.median(ratios)
        print(
            f"ingest: {options.streams} x {kind}: CPU {ratio:.2f}x nginx-rtmp "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f}), {1000 * ours.total:.2f} ms ({each}) against "
            f"{1000 * peer.total:.2f} ms per stream and second, target {target} {verdict(ratio <= target)}"
        )
        peer, ours = max(rounds[kind], key=lambda pair: pair[1].memory)
        words = ""
        if kind == "6 Mbit/s":
            words = f", target {MEMORY_TARGET_MB:.0f} {verdict(ours.memory <= MEMORY_TARGET_MB)}"
        print(
            f"ingest: {options.streams} x {kind}: memory {ours.memory:.1f} MB per stream, "
            f"nginx {peer.memory:.1f}{words}"
        )
        _say_load(options.streams, kind, min(ours.speed, peer.speed), ours.publishers_cpu)
    for kind, one in late.items():
        for where, found in one.parts._asdict().items():
            told, good = _told_late(found, VIEWER_TARGET_S if where == "viewer" else LATE_TARGET_S)
            print(f"ingest: {one.publishers} x {kind}: parts at the {where}: {told} {verdict(good)}")
        _say_load(one.publishers, kind, one.speed, 0.0)
    print(
        f"ingest: start to playable {playable['ours']:.2f} s, nginx {playable['nginx']:.2f} s, "
        f"target {PLAYABLE_TARGET_S} {verdict(playable['ours'] < PLAYABLE_TARGET_S)}"
    )
    return 1 if failed else 0


def _told_late(found: list[float], median_s: float) -> tuple[str, bool]:
    """Words for so many seconds of lateness, and whether median and 99th percentile are within their targets."""
    if not found:
        return "none came", False
    median, worst = statistics.median(found), found[min(len(found) - 1, int(len(found) * 0.99))]
    told = (
        f"late by p50 {1000 * median:.1f} ms, p99 {1000 * worst:.0f} ms of {len(found)}, "
        f"targets {1000 * median_s:.0f} and {1000 * LATE_TARGET_S:.0f}"
    )
    return told, median <= median_s and worst < LATE_TARGET_S


def _ratio(peer: Load, ours: Load) -> float:
    return ours.total / peer.total if peer.total > 0 else float("inf")


def _say_load(count: int, kind: str, speed: float, cpu: float) -> None:
    each = f", {1000 * cpu:.1f} ms of CPU each a second" if cpu else ""
    words = "" if speed >= STARVED else ": too many for this machine, the figures above do not count"
    print(f"ingest: {count} x {kind}: publishers kept {speed:.2f} of real time{each}{words}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
