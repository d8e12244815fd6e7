"""Low-latency viewers of many broadcasts on one machine: lateness of their parts, what they cost, memory.

    ./nearcast bench viewers [--viewers=10000] [--broadcasts=50] [--seconds=60] [--workers=1] [--sound]
                            [--apart]

A whole node that transcodes nothing takes the broadcasts in, all of one clip from one process. The viewers
are connections of one C program (viewers_load.c) that begin with the multivariant playlist, reload the playlist
with a blocking request and then ask for the part. With `--sound` each viewer follows the sound as well, over a
connection of its own. Where that is too much, half as many viewers are tried, until no part is later than one part
duration.

Everything runs on the same cores. With `--apart` the node has half of them and the load the other half: half of the
viewers and broadcasts then tell what the whole machine serves to viewers elsewhere.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.bench.footprint import memory_mb
from tests.bench.ingest_publishers import cpu_of, make_clip
from tests.bench.ingest_replay import Replay
from tests.bench.ingest_servers import Ours

CLIP = "300 kbit/s"
SETTLE_S = 5.0
START_S = 40.0
WINDOW_S = 20  # of media in the origin's memory: it is full before the count begins
LEAST = 250
STARVED = 0.95  # of real time; below, the machine had no room for the publishers
PER_S = 400  # connections opened in a second
FLAT = 1.1
_PATH = re.compile(rb"(/?[^\s\"]*media/[0-9a-f-]+/[a-z]+)/index\.m3u8")


@dataclass(frozen=True, slots=True)
class Seen:
    """One count. Times in ms, CPU in cores by process, memory in MB at its beginning and end."""

    viewers: int
    load: dict[str, float]
    cpu: dict[str, float]
    memory: tuple[dict[str, float], dict[str, float]]
    speed: float  # of the slowest publisher, 1.0 is real time

    @property
    def holds(self) -> bool:
        wrong = any(self.load[what] for what in ("late", "refused", "skipped", "turned_away"))
        return self.load["parts"] > 0 and not wrong and self.speed >= STARVED


class Viewers:
    """The C program, with `count` connections open."""

    def __init__(self, program: Path, port: int, count: int, watched: list[tuple[str, str]]) -> None:
        """`watched`: folders of renditions, and the URLs of the multivariant playlists that name them."""
        argv = [str(program), str(port), str(count), str(PER_S)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        lines = [f"{folder} {urllib.parse.urlsplit(url).path}\n" for folder, url in watched]
        self._say("".join(lines) + "\n")
        self._hear()

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def count(self, seconds: float, late_ms: float) -> dict[str, float]:
        """What `seconds` brought; parts later than `late_ms` are counted."""
        self._say(f"count {seconds} {late_ms}\n")
        return self._hear()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()

    def _hear(self) -> dict[str, float]:
        assert self._process.stdout is not None
        found: dict[str, float] = json.loads(self._process.stdout.readline() or "null")
        if found is None:
            raise RuntimeError(f"the viewers have ended, exit code {self._process.wait()}")
        return found


def main(argv: list[str] | None = None) -> int:
    """Prints lateness, CPU and memory; 1 when fewer viewers than asked for get their parts in time."""
    options = _options(argv or [])
    if missing := [name for name in ("cc", "ffmpeg") if shutil.which(name) is None]:
        print(f"viewers: needs {', '.join(missing)}", file=sys.stderr)
        return 2
    node = Ours(
        {
            "NEARCAST__ORIGIN__WINDOW_S": str(WINDOW_S),
            "NEARCAST__ORIGIN__WORKERS": str(options.workers),
            "NEARCAST__ORIGIN__CONNECTIONS": "100000",
            "NEARCAST__ORIGIN__WAITERS": "100000",
        }
    )
    with tempfile.TemporaryDirectory(prefix="nearcast-bench-") as name:
        program = build(Path(name))
        clip = make_clip(Path(name), CLIP)
        try:
            _start(node, options)
            return _search(options, node, program, clip)
        finally:
            node.stop()


def _start(node: Ours, options: argparse.Namespace) -> None:
    """Starts the node; with `apart` on one half of the cores, and what this process starts then on the other."""
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    if options.apart and half:
        os.sched_setaffinity(0, cores[:half])
    node.start(options.broadcasts)
    if options.apart and half:
        os.sched_setaffinity(0, cores[half:])


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./nearcast bench viewers")
    parser.add_argument("--viewers", type=int, default=10_000)
    parser.add_argument("--broadcasts", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=1, help="origin processes")
    parser.add_argument("--sound", action="store_true", help="each viewer follows the sound as well")
    parser.add_argument("--apart", action="store_true", help="node and load have half of the cores each")
    return parser.parse_args(argv)


def build(folder: Path) -> Path:
    """Compiles the viewers."""
    made = folder / "viewers_load"
    source = Path(__file__).with_name("viewers_load.c")
    subprocess.run(["cc", "-O2", "-o", str(made), str(source), "-lz"], check=True)
    return made


def _await_playable(node: Ours, count: int) -> None:
    until = time.monotonic() + START_S
    waited = set(range(count))
    while waited:
        waited = {index for index in waited if not node.playable(index)}
        if waited and time.monotonic() > until:
            raise TimeoutError(f"{len(waited)} of {count} broadcasts cannot be played after {START_S} s")
        time.sleep(0.2)


def _search(options: argparse.Namespace, node: Ours, program: Path, clip: Path) -> int:
    count = options.viewers
    while count >= LEAST or count == options.viewers:
        with Replay(clip, [node.target(index) for index in range(options.broadcasts)]) as publishers:
            publishers.settle(SETTLE_S)
            _await_playable(node, options.broadcasts)
            try:
                seen = _measure(options, node, program, publishers, count)
            except RuntimeError as error:
                print(f"viewers: {count} of {options.broadcasts} broadcasts: {error}")
            else:
                report(options, seen)
                if seen.holds:
                    print(f"viewers: no part of {count} viewers is later than a part lasts")
                    return 0 if count == options.viewers else 1
        for index in range(options.broadcasts):
            node.forget(index)
        count //= 2
    return 1


def _measure(options: argparse.Namespace, node: Ours, program: Path, publishers: Replay, count: int) -> Seen:
    places = [node.playlist(index) for index in range(options.broadcasts)]
    watched = [(one, url) for url in places for one in renditions(url, sound=options.sound)]
    part_ms = 1000 * part_target_s(urllib.parse.urljoin(places[0], f"{watched[0][0]}/index.m3u8"))
    connections = count * (2 if options.sound else 1)
    with Viewers(program, urllib.parse.urlsplit(places[0]).port or 80, connections, watched) as viewers:
        viewers.count(max(2.0, WINDOW_S - connections / PER_S), part_ms)  # until the window is full
        processes = {**node.pids(), "viewers": viewers.pid}
        memory = _memory(node)
        began = time.monotonic()
        before = {name: cpu_of(pid) for name, pid in processes.items()}
        sent = publishers.cpu()
        with ThreadPoolExecutor(1) as beside:
            speed = beside.submit(publishers.speed, options.seconds)
            load = viewers.count(options.seconds, part_ms)
        took = time.monotonic() - began
        cpu = {name: (cpu_of(pid) - before[name]) / took for name, pid in processes.items()}
        cpu["publishers"] = (publishers.cpu() - sent) / took
        return Seen(count, load, cpu, (memory, _memory(node)), speed.result())


def renditions(url: str, *, sound: bool) -> list[str]:
    """Folders of the source of the picture, and of the sound, that a multivariant playlist names."""
    with urllib.request.urlopen(url, timeout=20) as answer:
        named = [found.decode() for found in _PATH.findall(answer.read())]
    paths = {urllib.parse.urlsplit(urllib.parse.urljoin(url, one)).path for one in named}
    wanted = ("source", "audio") if sound else ("source",)
    return [next(path for path in sorted(paths) if path.endswith(f"/{name}")) for name in wanted]


def part_target_s(url: str) -> float:
    """PART-TARGET of a media playlist."""
    with urllib.request.urlopen(url, timeout=20) as answer:
        found = re.search(rb"PART-TARGET=([0-9.]+)", answer.read())
    assert found is not None, f"{url} has no parts"
    return float(found[1])


def _memory(node: Ours) -> dict[str, float]:
    return {name: memory_mb([pid]) for name, pid in node.pids().items()}


def report(options: argparse.Namespace, seen: Seen) -> None:
    """One count in a few lines."""
    load = seen.load
    rate = (load["playlists"] + load["parts"]) / load["seconds"]
    print(
        f"viewers: {seen.viewers} of {options.broadcasts} broadcasts for {load['seconds']:.0f} s"
        f"{' with sound' if options.sound else ''}: {rate:.0f} requests/s, "
        f"{8 * load['bytes'] / load['seconds'] / 1e6:.0f} Mbit/s"
    )
    print(
        f"  parts after their end: p50 {load['late_p50_ms']:.0f} ms, p99 {load['late_p99_ms']:.0f} ms, worst "
        f"{load['late_max_ms']:.0f} ms; after the first viewer heard of them: p50 {load['spread_p50_ms']:.0f} ms, "
        f"p99 {load['spread_p99_ms']:.0f} ms, worst {load['spread_max_ms']:.0f} ms"
    )
    print(
        f"  {load['late']:.0f} of {load['parts']:.0f} parts later than one lasts, {load['skipped']:.0f} left out, "
        f"{load['refused']:.0f} requests refused, {load['turned_away']:.0f} viewers turned away"
    )
    busy = sorted(seen.cpu.items(), key=lambda item: -item[1])
    print("  cores: " + ", ".join(f"{name} {cores:.2f}" for name, cores in busy if cores >= 0.01))
    each_us = 1e6 * sum(cores for name, cores in busy if name.startswith("origin")) / rate if rate else 0.0
    print(f"  {each_us:.1f} us of the origin for a request; the slowest publisher at {seen.speed:.2f} of real time")
    before, after = seen.memory
    grown = ", ".join(
        f"{name} {before[name]:.0f} to {after[name]:.0f}" for name in before if name in after and after[name] >= 20
    )
    total = sum(before.values()), sum(after.values())
    flat = "flat" if total[1] <= FLAT * total[0] else "not flat"
    print(f"  memory in MB: {total[0]:.0f} to {total[1]:.0f} ({flat}); {grown}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
