"""The blocking-playlist herd and plain throughput of one origin process, on this machine's loopback.

    python tests/bench/origin_herd.py [WAITERS] [ROUNDS]

Prints CPU microseconds of the server per held answer, the last answer's delay after the part, and requests
per core-second for a playlist and a 100 KB part. The server runs in a child process; this one is the load.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import resource
import selectors
import socket
import statistics
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "unit" / "origin")]

import uvloop  # noqa: E402 - the path is set above
from origin_fakes import BROADCAST, start_origin  # noqa: E402 - as above

from appliance.contracts.media import ChunkFlag  # noqa: E402 - as above

SOURCE = f"/media/{BROADCAST}/source"
FIELDS = "Host: x\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n"


async def serve(pipe):
    origin = await start_origin(connections=100_000, waiters=100_000)
    origin.go_live()
    origin.add_segments(10)
    header, _ = origin.video.next_part()[0]
    origin.log.add("source", header, b"x" * 100_000)
    pipe.send(origin.server.port)
    loop = asyncio.get_running_loop()
    closed = asyncio.Event()

    def on_command():
        command = pipe.recv()
        if command == "cpu":
            used = resource.getrusage(resource.RUSAGE_SELF)
            pipe.send((used.ru_utime, used.ru_stime, len(origin.server.held)))
        elif command == "part":
            last = origin.video.part == 3
            for header, data in origin.video.next_part(last=last, flags=ChunkFlag.NONE):
                origin.log.add("source", header, data)
        else:
            closed.set()

    loop.add_reader(pipe.fileno(), on_command)
    await closed.wait()
    await origin.close()


def ask(pipe):
    pipe.send("cpu")
    return pipe.recv()


def connect(port, count):
    made = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    for one in made:
        one.setblocking(False)
    return made


def request(path):
    return f"GET {path} HTTP/1.1\r\n{FIELDS}".encode()


def herd(pipe, port, waiters, rounds):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    clients = connect(port, waiters)
    poll = selectors.DefaultSelector()
    for one in clients:
        poll.register(one, selectors.EVENT_READ)
    msn, part, delays, costs = 10, 1, [], []
    for _ in range(rounds):
        *before, _ = ask(pipe)
        data = request(f"{SOURCE}/index.m3u8?_HLS_msn={msn}&_HLS_part={part}")
        for one in clients:
            one.send(data)
        while ask(pipe)[2] < waiters:
            time.sleep(0.01)
        pipe.send("part")
        start = time.perf_counter()
        left = waiters
        while left:
            for key, _ in poll.select():
                size = len(key.fileobj.recv(65536))
                left -= 1
        delays.append(1000 * (time.perf_counter() - start))
        *after, _ = ask(pipe)
        costs.append(tuple(1e6 * (one - other) / waiters for one, other in zip(after, before, strict=True)))
        msn, part = (msn + 1, 0) if part == 3 else (msn, part + 1)
    print(f"herd of {waiters}: last answer {statistics.median(delays):.0f} ms (max {max(delays):.0f}),")
    own, kernel = (statistics.median(column) for column in zip(*costs, strict=True))
    for one in clients:
        one.close()
    limit = bare(waiters, len(data), size)
    print(f"  {own + kernel:.1f} us CPU of the server per answer, {kernel:.1f} of them in the kernel:")
    print(
        f"  {(own + kernel) / limit:.2f} of a bare receive and send of the same bytes, {limit:.1f} us (at most 1.5)"
    )


def bare(count, asked, answered, rounds=6):
    """Microseconds of CPU to receive and to answer one of `count` requests, with nothing around it."""
    question, answer, used = b"q" * asked, b"a" * answered, 0
    clients, servers = [], []
    with contextlib.ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(count):
            clients += [stack.enter_context(one) for one in connect(listener.getsockname()[1], 1)]
            servers.append(stack.enter_context(listener.accept()[0]))
            servers[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(rounds):
            for one in clients:
                one.send(question)
            began = time.process_time_ns()
            for one in servers:
                one.recv(65536)
            for one in servers:
                one.send(answer)
            used += time.process_time_ns() - began
            for one in clients:
                one.recv(65536)
    return used / rounds / count / 1000


def throughput(pipe, port, path, size, seconds=3.0):
    clients = connect(port, 32)
    poll = selectors.DefaultSelector()
    got = dict.fromkeys(clients, 0)
    data = request(path)
    before = sum(ask(pipe)[:2])
    for one in clients:
        poll.register(one, selectors.EVENT_READ)
        one.send(data)
    end, done, total = time.perf_counter() + seconds, 0, 0
    while time.perf_counter() < end:
        for key, _ in poll.select():
            count = len(key.fileobj.recv(1 << 20))
            total += count
            got[key.fileobj] += count
            if got[key.fileobj] >= size(count):
                got[key.fileobj] = 0
                done += 1
                key.fileobj.send(data)
    used = sum(ask(pipe)[:2]) - before
    print(f"{path}: {done / used:.0f} requests, {total / used / 1e9:.2f} GB per core-second")
    for one in clients:
        one.close()


def main(options=()):
    """0; prints what it saw. Options: --waiters=N --rounds=N."""
    parser = argparse.ArgumentParser(prog="./nearcast bench origin_herd")
    parser.add_argument("--waiters", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=10)
    chosen = parser.parse_args(list(options))
    waiters, rounds = chosen.waiters, chosen.rounds
    here, there = multiprocessing.get_context("fork").Pipe()
    child = os.fork()
    if child == 0:
        uvloop.run(serve(there))
        os._exit(0)
    port = here.recv()
    try:
        with socket.create_connection(("127.0.0.1", port)) as warm:
            warm.sendall(request(f"{SOURCE}/index.m3u8"))
            warm.recv(65536)
        throughput(here, port, f"{SOURCE}/index.m3u8", lambda count: 0)
        throughput(here, port, f"{SOURCE}/p40.m4s", lambda count: 100_000)
        herd(here, port, waiters, rounds)
    finally:
        here.send("stop")
        os.waitpid(child, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
