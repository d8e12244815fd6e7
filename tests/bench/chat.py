"""Chat fan-out against the least a machine can do in C and against nginx with nchan, one core each.

    ./nearcast bench chat [--rounds=N] [--sockets=N]

Servers take turns on one core, the load is on the other, together with the gateway's log. CPU is that of the
server process alone. Ratios hold on any machine, and only they and what users feel have targets.
"""

import asyncio
import contextlib
import json
import os
import resource
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.bench import chat_servers as servers
from tests.bench.chat_room import simulate

_SOCKETS, _MANY, _SLOW = 2000, 10_000, 50
_CLOSED_S, _RATE_S = 4.0, 8.0
_PAUSE_MS = 20  # so that every server comes out of its sleep for each message, as in a room of people
_CALM_PER_S = 10  # a room with as many readers is written in at such a rate
_LIMIT_WINDOW_MS = 50  # what C sends together when the room is busy
_MANY_PER_S = 170  # the most a room may have
_SLOW_PER_S = 300
_SPARE_FILES = 200
_SITE = 100_000

Stats = dict[str, Any]


class Load:
    """The C program as so many readers and one publisher."""

    def __init__(self, program: Path, folder: Path, server: servers.Server, count: int, slow: int = 0) -> None:
        files = []
        for name in ("request", "opening", "message"):
            files.append(folder / name)
            files[-1].write_bytes(getattr(server, name))
        argv = [str(program), "load", str(server.port), str(count), str(slow), *map(str, files)]
        self._process = subprocess.Popen(
            servers.on_core(servers.LOAD_CORE, *argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._server = server
        self.open_s = float(self._answer()["open_s"])

    def _answer(self) -> Stats:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the load ended")
        found: Stats = json.loads(line)
        return found

    def run(self, command: str) -> Stats:
        """What the program says, and the server's CPU seconds meanwhile."""
        assert self._process.stdin is not None
        before = servers.cpu_s(self._server.pid)
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        found = self._answer()
        return found | {"cpu_s": servers.cpu_s(self._server.pid) - before}

    def close(self) -> None:
        """Leaves."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)


class Report:
    """Lines, and whether a target was missed."""

    def __init__(self) -> None:
        self.failed = False

    def say(self, text: str) -> None:
        print(text, flush=True)

    def target(self, text: str, reached: bool) -> None:
        """A line with its verdict."""
        self.failed |= not reached
        self.say(f"{text}: {'reached' if reached else 'MISSED'}")


class Bench:
    """Everything that is measured, in one folder and with one log."""

    def __init__(self, folder: Path, nats: str, report: Report) -> None:
        self.folder = folder
        self.nats = nats
        self.report = report
        self.program = servers.compile_limit(folder)

    @contextlib.contextmanager
    def loaded(
        self, make: Callable[[], Any], count: int, slow: int = 0
    ) -> Iterator[tuple[servers.Server, Load, float]]:
        """A server, its load, and KB of the server's memory per connection."""
        server = make()
        try:
            before = servers.memory_kb(server.pid)
            load = Load(self.program, self.folder, server, count, slow)
            try:
                yield server, load, (servers.memory_kb(server.pid) - before) / count
            finally:
                load.close()
        finally:
            server.stop()

    def limit(self) -> servers.Limit:
        return servers.Limit(self.program)

    def nchan(self) -> servers.Nchan:
        return servers.Nchan(self.folder)

    def gateway(self, window_s: float = 0.02) -> servers.Gateway:
        return servers.Gateway(self.folder, self.nats, self.program, window_s)

    # -- measurements

    def uncoalesced(self, rounds: int, count: int) -> None:
        """One message in flight, so that nothing can be coalesced."""
        makers: list[Callable[[], Any]] = [self.limit, self.nchan, lambda: self.gateway(0.0)]
        rates: dict[str, list[float]] = {}
        for _ in range(rounds):
            for make in makers:
                with self.loaded(make, count) as (server, load, per_connection):
                    load.run(f"closed 0.5 {_PAUSE_MS}")
                    found = load.run(f"closed {_CLOSED_S} {_PAUSE_MS}")
                    rate = found["deliveries"] / found["cpu_s"]
                    rates.setdefault(server.name, []).append(rate)
                    self.report.say(
                        f"  {server.name:<9} {rate / 1000:6.0f} k deliveries per core-second, "
                        f"{found['messages']} messages, {found['lost']} lost, {found['extra']} too many, "
                        f"{per_connection:.1f} KB a connection"
                    )
        ours = rates[servers.Gateway.name]
        for other, least in ((servers.Limit.name, 0.85), (servers.Nchan.name, 1.3)):
            ratio = statistics.median(a / b for a, b in zip(ours, rates[other], strict=True))
            text = f"{count} sockets, one message in flight: {ratio:.2f} of {other} (at least {least})"
            self.report.target(text, ratio >= least)

    def coalesced(self, count: int) -> None:
        """The busiest room there may be; with it the storm of connects and the memory of idle connections."""
        limit = self._calm(self.limit, count)
        least = self._busy(lambda: servers.Limit(self.program, _LIMIT_WINDOW_MS), count)
        with self.loaded(self.gateway, count) as (_, load, per_connection):
            self.report.target(f"{count} connections in {load.open_s:.2f} s (below 1)", load.open_s < 1)
            self.report.target(f"{per_connection:.2f} KB of memory for each (at most 2)", per_connection <= 2)
            load.run(f"closed 0.5 {_PAUSE_MS}")  # and nothing is under way when the clock begins
            found = load.run(f"rate {_MANY_PER_S} {_RATE_S}")
        cores = found["cpu_s"] / found["seconds"]
        millions = found["deliveries"] / found["seconds"] / 1e6
        self.report.say(
            f"{count} sockets x {_MANY_PER_S}/s: {millions:.2f} M deliveries/s, "
            f"p50 {found['p50_ms']:.0f} ms, max {found['max_ms']:.0f} ms"
        )
        lost, extra = found["lost"], found["extra"]
        self.report.target(f"  lost {lost}, too many {extra} (none)", lost == extra == 0)
        self.report.target(f"  {cores:.2f} of a core (at most 0.6)", cores <= 0.6)
        self.report.target(f"  p99 {found['p99_ms']:.0f} ms (below 300)", found["p99_ms"] < 300)
        for name, ours, theirs, most in (
            ("p99", found["p99_ms"], least["p99_ms"], 2.0),
            ("CPU", cores, least["cpu_s"] / least["seconds"], 1.2),
        ):
            text = f"  {name} {ours / theirs:.2f} of C with windows of {_LIMIT_WINDOW_MS} ms (at most {most})"
            self.report.target(text, ours <= most * theirs)
        calm = self._calm(self.gateway, count)
        self.report.say(
            f"{count} sockets x {_CALM_PER_S}/s, from the sender to each reader, fsync included "
            f"(C, without one: p50 {limit['p50_ms']:.0f} ms, p99 {limit['p99_ms']:.0f} ms)"
        )
        self.report.target(f"  p50 {calm['p50_ms']:.0f} ms (below 60)", calm["p50_ms"] < 60)
        self.report.target(f"  p99 {calm['p99_ms']:.0f} ms (below 250)", calm["p99_ms"] < 250)

    def _busy(self, make: Callable[[], Any], count: int) -> Stats:
        """As much as a room may have."""
        with self.loaded(make, count) as (_, load, _):
            load.run(f"closed 0.5 {_PAUSE_MS}")
            return load.run(f"rate {_MANY_PER_S} {_RATE_S}")

    def _calm(self, make: Callable[[], Any], count: int) -> Stats:
        """As people write in a room with so many readers."""
        with self.loaded(make, count) as (_, load, _):
            load.run(f"closed 0.5 {_PAUSE_MS}")
            return load.run(f"rate {_CALM_PER_S} {_RATE_S}")

    def hundred_thousand(self) -> None:
        """What the room itself costs for a site's worth of readers; the sockets are what the rest measures."""
        found = simulate(_SITE)
        self.report.say(
            f"a room with {_SITE} readers that take everything at once: {found.each_us:.2f} us of the room "
            f"for each delivery, {found.slice_ms:.1f} ms at most in one turn of the loop, "
            f"{found.join_us:.1f} us to join"
        )

    def slow_clients(self) -> None:
        """Some never read: what they cost in memory and the others in time."""
        found: dict[int, Stats] = {}
        for slow in (0, _SLOW):
            with self.loaded(self.gateway, 250 + slow, slow) as (server, load, _):
                before = servers.memory_kb(server.pid)
                load.run(f"rate {_SLOW_PER_S} 2")
                found[slow] = load.run(f"rate {_SLOW_PER_S} {_RATE_S}")
                found[slow]["grown_kb"] = servers.memory_kb(server.pid) - before
        cost = (found[_SLOW]["grown_kb"] - found[0]["grown_kb"]) / _SLOW
        p99, without = found[_SLOW]["p99_ms"], found[0]["p99_ms"]
        self.report.target(f"{_SLOW} of 300 never read: {cost:.2f} KB for each (below 1)", cost < 1)
        text = f"  the others' p99 {p99:.0f} ms, without them {without:.0f} ms (at most 1.5 times)"
        self.report.target(text, p99 <= 1.5 * without)


def _sockets() -> int:
    """How many sockets one process may have here, at most what is asked for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(_MANY, hard - _SPARE_FILES)


async def _measure(rounds: int, count: int, report: Report) -> None:
    with tempfile.TemporaryDirectory() as name:
        async with servers.site(name) as made:
            bench = Bench(Path(name), made.nats.url, report)
            many = _sockets()
            if many < _MANY:
                report.say(f"the limit of open files allows {many} sockets instead of {_MANY}")
            bench.hundred_thousand()
            for step in (
                lambda: bench.uncoalesced(rounds, count),
                lambda: bench.coalesced(many),
                bench.slow_clients,
            ):
                await asyncio.to_thread(step)


def main(options: list[str] | None = None) -> int:
    """1 when a target was missed or something needed is not there."""
    missing = servers.absent()
    if missing:
        print(f"cannot measure: {missing} (cc, nginx and libnginx-mod-nchan come with apt)")
        return 1
    if (os.cpu_count() or 1) < 2:
        print("cannot measure: the server and the load need a core each")
        return 1
    chosen = dict(option.removeprefix("--").split("=") for option in options or [])
    report = Report()
    asyncio.run(_measure(int(chosen.get("rounds", 3)), int(chosen.get("sockets", _SOCKETS)), report))
    return int(report.failed)
