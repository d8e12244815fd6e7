"""Delivery of playlists and parts by one core, against nginx with the same bytes on the same core.

    ./nearcast bench delivery [--seconds=2] [--rounds=3] [--held=2000]

Requests per second of the server's own CPU time, over HTTP/1.1, the same in TLS, and HTTP/2 in TLS; the two
servers in turn within each round, the median of the rounds' ratios counts. Then the memory of held requests.
"""

import argparse
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.bench import delivery_servers as servers
from tests.bench.delivery_servers import Nginx, Ours, Server
from tests.bench.footprint import memory_mb
from tests.bench.ingest_publishers import cpu_of

HELD_TARGET_BYTES = 2048
_BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36",
    "Accept: */*",
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
    "Referer: http://127.0.0.1/alice",
    "Sec-Fetch-Dest: empty",
    "Sec-Fetch-Mode: cors",
    "Sec-Fetch-Site: same-origin",
)
_CONNECTIONS = 32
_STREAMS = 4  # requests in flight on a connection of HTTP/2


class Case(NamedTuple):
    """One way to ask for one thing, and the least ratio to nginx."""

    name: str
    tool: str
    secure: bool
    of_part: bool
    target: float


CASES = (
    Case("playlist, HTTP/1.1", "wrk", secure=False, of_part=False, target=1.2),
    Case("part, HTTP/1.1", "wrk", secure=False, of_part=True, target=1.0),
    Case("playlist, HTTP/1.1 in TLS", "wrk", secure=True, of_part=False, target=1.0),
    Case("part, HTTP/1.1 in TLS", "wrk", secure=True, of_part=True, target=1.3),
    Case("playlist, HTTP/2 in TLS", "h2load", secure=True, of_part=False, target=1.0),
    Case("part, HTTP/2 in TLS", "h2load", secure=True, of_part=True, target=1.0),
)


def main(argv: list[str] | None = None) -> int:
    """Prints the ratios; 1 when one misses its target."""
    options = _options(argv or [])
    if absent := servers.absent():
        print(f"delivery: something is missing; run: apt-get install {absent}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="nearcast-bench-", dir="/dev/shm") as name:
        folder = Path(name)
        files = servers.certificate(folder / "tls")
        ours = Ours(files)
        try:
            good = _held(ours, options.held)  # before anything else left memory to be used again
            nginx = Nginx(folder / "nginx", files, ours.body(ours.playlist), ours.body(ours.part))
            try:
                for case in CASES:
                    good = _compare(case, (ours, nginx), options) and good
            finally:
                nginx.stop()
        finally:
            ours.stop()
    return 0 if good else 1


def _compare(case: Case, pair: tuple[Server, Server], options: argparse.Namespace) -> bool:
    found: dict[str, list[float]] = {server.name: [] for server in pair}
    for _ in range(options.rounds):
        for server in pair:
            found[server.name].append(_rate(case, server, options.seconds))
    ratios = [mine / theirs for mine, theirs in zip(*found.values(), strict=True)]
    ratio = statistics.median(ratios)
    figures = ", ".join(f"{name} {statistics.median(rates):.0f}" for name, rates in found.items())
    print(
        f"delivery: {case.name}: {ratio:.2f}x nginx ({min(ratios):.2f} to {max(ratios):.2f}, target {case.target})"
        f"; requests per core-second: {figures}",
        flush=True,
    )
    return ratio >= case.target


def _rate(case: Case, server: Server, seconds: int) -> float:
    """Requests per second of the server's CPU time. It has the last core, the load the others."""
    cores = sorted(os.sched_getaffinity(0))
    subprocess.run(["taskset", "-a", "-p", "-c", str(cores[-1]), str(server.pid)], capture_output=True, check=True)
    before = cpu_of(server.pid)
    done = subprocess.run(
        ["taskset", "-c", ",".join(map(str, cores[:-1] or cores)), *_load(case, server, seconds)],
        capture_output=True,
        text=True,
        check=True,
    )
    used = cpu_of(server.pid) - before
    pattern = r"(\d+) requests in" if case.tool == "wrk" else r"(\d+) succeeded"
    match = re.search(pattern, done.stdout)
    if match is None or "Non-2xx" in done.stdout or re.search(r"[1-9]\d* failed", done.stdout):
        raise RuntimeError(f"{case.name} from {server.name}:\n{done.stdout}{done.stderr}")
    return int(match[1]) / used


def _load(case: Case, server: Server, seconds: int) -> list[str]:
    path = server.part if case.of_part else server.playlist
    url = f"https://127.0.0.1:{server.secure}{path}" if case.secure else f"http://127.0.0.1:{server.port}{path}"
    fields = [word for line in _BROWSER for word in ("-H", line)]
    if case.tool == "wrk":
        return ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", *fields, url]
    streams = f"-m{_STREAMS}"
    return ["h2load", "-t1", f"-c{_CONNECTIONS}", streams, f"-D{seconds}", "-w30", "-W30", *fields, url]


def _held(ours: Ours, count: int) -> bool:
    """The memory of requests that wait for a part, without TLS."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    fields = "\r\n".join(("Host: 127.0.0.1", *_BROWSER))
    request = f"GET {ours.source}?_HLS_msn=12&_HLS_part=1 HTTP/1.1\r\n{fields}\r\n\r\n".encode()
    rounds = []
    for _ in range(2):  # the first one also pays for what is allocated once
        before = memory_mb([ours.pid])
        clients = [socket.create_connection(("127.0.0.1", ours.port)) for _ in range(count)]
        for one in clients:
            one.sendall(request)
        until = time.monotonic() + 5
        while ours.held() < count and time.monotonic() < until:
            time.sleep(0.02)
        held = ours.held()
        rounds.append((memory_mb([ours.pid]) - before) * (1 << 20) / max(1, held))
        if held != count:
            raise RuntimeError(f"{held} of {count} requests are held")
        for one in clients:
            one.close()
        time.sleep(0.5)
    size = rounds[0]
    print(f"delivery: a held request takes {size:.0f} bytes (target {HELD_TARGET_BYTES}); again {rounds[1]:.0f}")
    return size <= HELD_TARGET_BYTES


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="delivery", description=__doc__)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--held", type=int, default=2000)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
