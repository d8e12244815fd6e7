"""A site for chat tests: a real NATS server, gateways of one edge, a port that hands connections over."""

import asyncio
import contextlib
import signal
import socket
import sys
from pathlib import Path

import msgspec

from appliance.contracts.directory import ChannelRecord, StreamRecord, TokenRecord, secret_hash
from appliance.contracts.media import Broadcast, BroadcastState
from appliance.contracts.subjects import (
    DIRECTORY_BUCKET,
    LIVE_BUCKET,
    broadcast_key,
    channel_key,
    outbox,
    outbox_filters,
    stream_key,
    token_key,
)
from appliance.runtime.bus import Bus, Endpoint
from appliance.runtime.handoff import HandoffSender
from appliance.runtime.streams import BucketSpec, StreamSpec
from edge.chat.config import ChatConfig
from edge.chat.service import ChatService

EDGE = "edge1"
CHANNEL_ID = "0193aaaa-0000-7000-8000-00000000c001"
STREAM_ID = "0193aaaa-0000-7000-8000-00000000a001"
NATS = Path(sys.executable).with_name("nats-server")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nats:
    def __init__(self, folder):
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._config = folder / "nats.conf"
        self._config.write_text(
            f'host: 127.0.0.1\nport: {self.port}\njetstream {{ store_dir: "{folder}/js", sync_interval: always }}\n'
        )
        self._log = folder / "nats.log"
        self._process = None

    async def start(self):
        self._process = await asyncio.create_subprocess_exec(
            str(NATS), "-c", str(self._config), "-l", str(self._log), stdin=asyncio.subprocess.DEVNULL
        )

    async def kill(self):
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()


class Gateway:
    """One gateway process' worth of service, and a TCP port in front of it."""

    def __init__(self, service, path, fed, local):
        self.service = service
        self._buses = (fed, local)
        self._sender = HandoffSender(path)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._task = asyncio.get_running_loop().create_task(self._accept())

    async def _accept(self):
        loop = asyncio.get_running_loop()
        while True:
            taken, address = await loop.sock_accept(self._listener)
            self._sender.send(taken.fileno(), b"", address[0])
            taken.close()

    def ws(self, rest="", channel="alice"):
        return f"ws://127.0.0.1:{self.port}/chat/{channel}/chat/subscribe{rest}"

    def http(self, rest="", channel="alice"):
        return f"http://127.0.0.1:{self.port}/chat/{channel}/chat{rest}"

    async def close(self):
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._listener.close()
        self._sender.close()
        await self.service.stop()
        for bus in self._buses:
            await bus.close()


class Site:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.nats = Nats(self.folder)
        self.failures = []
        self.gateways = []

    async def start(self):
        await self.nats.start()
        self.bus = await Bus.connect(Endpoint(self.nats.url), name="test")
        await self.bus.ensure_stream(
            StreamSpec(outbox(EDGE), tuple(outbox_filters(EDGE)), refuse_when_full=True, duplicate_window_s=600)
        )
        await self.bus.ensure_bucket(BucketSpec(DIRECTORY_BUCKET))
        await self.bus.ensure_bucket(BucketSpec(LIVE_BUCKET))
        self.directory = self.bus.bucket(DIRECTORY_BUCKET)
        channel = ChannelRecord(channel_id=CHANNEL_ID, channel="alice", user_id="u-alice")
        await self.directory.put(channel_key(CHANNEL_ID), msgspec.json.encode(channel))
        stream = StreamRecord(stream_id=STREAM_ID, channel_id=CHANNEL_ID, channel="alice")
        await self.directory.put(stream_key(STREAM_ID), msgspec.json.encode(stream))
        for name in ("alice", "bob", "carol"):
            await self.add_token(name)

    async def add_token(self, name, **changes):
        record = TokenRecord(token_id=f"t-{name}", user_id=f"u-{name}", username=name, **changes)
        await self.directory.put(token_key(secret_hash(f"token-{name}")), msgspec.json.encode(record))

    async def set_state(self, state=BroadcastState.LIVE):
        record = Broadcast(
            broadcast_id=STREAM_ID,
            channel_id=CHANNEL_ID,
            channel="alice",
            user_id="u-alice",
            edge_id=EDGE,
            state=state,
        )
        await self.bus.bucket(LIVE_BUCKET).put(broadcast_key(STREAM_ID), msgspec.json.encode(record))

    async def gateway(self, tls=None, **changes):
        path = self.folder / f"chat{len(self.gateways)}.sock"
        fed = await Bus.connect(Endpoint(self.nats.url), name=f"{EDGE}.chat")
        local = await Bus.connect(Endpoint(self.nats.url), name=f"{EDGE}.chat")
        config = ChatConfig(edge_id=EDGE, **({"user_per_minute": 6000, "drain_s": 0.3} | changes))
        service = ChatService(
            config, fed=fed, local=local, socket_path=path, tls=tls, on_failure=self.failures.append
        )
        await service.start()
        made = Gateway(service, path, fed, local)
        self.gateways.append(made)
        return made

    async def close(self):
        for gateway in self.gateways:
            await gateway.close()
        await self.bus.close()
        await self.nats.kill()
        assert self.failures == []


@contextlib.asynccontextmanager
async def site(folder):
    made = Site(folder)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


class Chatter:
    """What a client of the interface would do, over the `websockets` library."""

    def __init__(self, socket):
        self.socket = socket
        self.seen = []  # (position of the frame, message) in order
        self.position = None
        self.other = []

    async def frame(self, timeout=5):
        frame = msgspec.json.decode(await asyncio.wait_for(self.socket.recv(), timeout))
        if frame["type"] in ("hello", "messages"):
            self.position = frame["position"]
        if frame["type"] == "messages":
            self.seen += [one["message"] for one in frame["messages"]]
        else:
            self.other.append(frame)
        return frame

    async def until(self, kind, timeout=5):
        async with asyncio.timeout(timeout):
            while True:
                frame = await self.frame(timeout)
                if frame["type"] == kind:
                    return frame

    async def until_seen(self, count, timeout=10):
        async with asyncio.timeout(timeout):
            while len(self.seen) < count:
                await self.frame(timeout)

    async def say(self, text, nonce=""):
        await self.socket.send(msgspec.json.encode({"type": "message", "message": text, "nonce": nonce}).decode())
