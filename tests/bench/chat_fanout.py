"""Fan-out of one room to many sockets: deliveries per second, latency, CPU of the gateway.

    python tests/bench/chat_fanout.py [SOCKETS] [MESSAGES_PER_S] [SECONDS]

The gateway, its log and the writer run here; the sockets are a second process. Latency is from the append's
start to the message's arrival, so it holds the log and the coalescing window.
"""

import asyncio
import contextlib
import json
import re
import resource
import socket
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import uvloop

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/integration/chat")]
_SENT = re.compile(rb'"at":(\d+)')
_UPGRADE = (
    b"GET /chat/alice/chat/subscribe HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Viewer(asyncio.Protocol):
    """Counts what arrives."""

    def __init__(self, found):
        self._found = found
        self._rest = b""

    def connection_made(self, transport):
        transport.write(_UPGRADE)

    def data_received(self, data):
        now = time.time_ns()
        data = self._rest + data
        at = 0
        for match in _SENT.finditer(data):
            at = match.end()
            self._found.append(now - int(match[1]))
        self._rest = data[max(at, len(data) - 24) :]


async def view(port, count):
    found = []
    loop = asyncio.get_running_loop()
    for _ in range(count):
        await loop.create_connection(lambda: Viewer(found), "127.0.0.1", port)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    found.sort()
    half, most = (found[int(len(found) * part)] / 1e6 for part in (0.5, 0.99))
    print(json.dumps({"deliveries": len(found), "p50_ms": round(half, 1), "p99_ms": round(most, 1)}), flush=True)


async def measure(count, rate, seconds):
    from chat_site import CHANNEL_ID, EDGE, site

    from appliance.contracts.subjects import chat

    async with site(tempfile.mkdtemp()) as made:
        gateway = await made.gateway(connections_per_address=count + 1)
        child = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "view", str(gateway.port), str(count),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await child.stdout.readline()
        began, cpu = time.perf_counter(), time.process_time()
        total = int(rate * seconds)
        for number in range(total):
            body = [{"message_id": f"m{number}", "at": time.time_ns(), "message": "x" * 90}]
            await made.bus.append(chat(CHANNEL_ID, EDGE), msgspec.json.encode(body), message_id=f"m{began}{number}")
            await asyncio.sleep(max(0.0, began + (number + 1) / rate - time.perf_counter()))
        wall, used = time.perf_counter() - began, time.process_time() - cpu
        await asyncio.sleep(1)
        child.stdin.write(b"\n")
        result = json.loads(await child.stdout.readline())
        await child.wait()
        result |= {
            "sockets": count,
            "lost": total * count - result["deliveries"],
            "deliveries_per_s": round(result["deliveries"] / wall),
            "gateway_core": round(used / wall, 2),
            "frames": gateway.service.tally.deliveries,
            "max_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        print(json.dumps(result))


def main(arguments):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    socket.setdefaulttimeout(None)
    if arguments[:1] == ["view"]:
        uvloop.run(view(int(arguments[1]), int(arguments[2])))
        return
    count, rate, seconds = (float(one) for one in [*arguments, *["2000", "100", "5"][len(arguments) :]])
    uvloop.run(measure(int(count), rate, seconds))


if __name__ == "__main__":
    main(sys.argv[1:])
