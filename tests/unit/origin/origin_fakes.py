"""A log, a directory and streams of chunks for the origin's tests, and a raw HTTP client."""

import asyncio
import dataclasses
import gzip
import time

import msgspec

from appliance.contracts.directory import ChannelRecord, TokenRecord, secret_hash
from appliance.contracts.errors import UnavailableError
from appliance.contracts.grants import GrantRequest
from appliance.contracts.media import (
    AudioFormat,
    Broadcast,
    BroadcastState,
    ChunkFlag,
    ChunkHeader,
    Init,
    Rendition,
    VideoFormat,
)
from appliance.contracts.pictures import StoredPicture
from appliance.contracts.subjects import broadcast_key, media, rendition_key, token_key
from appliance.runtime.bus import Entry, LogMessage
from appliance.runtime.signing import SigningKey
from appliance.runtime.uring import open_fan_out
from edge.access.grants import Grants
from edge.access.hashes import Hashes
from edge.origin.acme import Challenges
from edge.origin.archive import Archive
from edge.origin.audience import Audience
from edge.origin.catalogue import Catalogue
from edge.origin.channels import Channels
from edge.origin.config import OriginConfig
from edge.origin.crowding import Crowding
from edge.origin.delivery import deliverer
from edge.origin.events import EventStream
from edge.origin.grant_desk import GrantDesk
from edge.origin.guard import Guard
from edge.origin.health_stream import HealthStream
from edge.origin.metrics import Tally
from edge.origin.part_store import PartStore
from edge.origin.quality.limits import AddressLimit, Shedding
from edge.origin.quality.receiver import Beacons
from edge.origin.quality.sums import Sums
from edge.origin.routes import Routes
from edge.origin.server import OriginServer
from edge.origin.site_audience import SiteAudience
from edge.origin.static import Pages
from edge.origin.thumbs import Thumbs

BROADCAST = "0193-broadcast"
START_US = 1_700_000_000_000_000


class FakeLog:
    """Messages so far, and a wake-up for whoever tails."""

    def __init__(self):
        self.messages = []
        self.tails = 0
        self._wake = asyncio.Event()

    def add(self, rendition, header, data, broadcast=BROADCAST):
        seq = len(self.messages) + 1
        self.messages.append(LogMessage(seq, media(broadcast, rendition), data, {"Chunk": header.encode()}, 0, 0))
        self._wake.set()

    async def tail(self, stream, subjects, start=1):
        self.tails += 1
        try:
            at = start - 1
            while True:
                while at < len(self.messages):
                    message = self.messages[at]
                    at += 1
                    if message.subject.startswith(subjects[0][:-1]):
                        pending = len(self.messages) - at
                        yield dataclasses.replace(message, pending=pending)
                self._wake.clear()
                await self._wake.wait()
        finally:
            self.tails -= 1


class FakeShelf:
    """A bucket of pictures; `open` is cleared to let readings wait."""

    def __init__(self):
        self.values = {}
        self.gets = 0
        self.failure = None
        self.open = asyncio.Event()
        self.open.set()

    def put(self, key, data, at_ms=1_700_000_000_000):
        self.values[key] = msgspec.msgpack.encode(StoredPicture(at_ms, data))

    async def get(self, key):
        self.gets += 1
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        return Entry(self.values[key], 1) if key in self.values else None


class FakeCentre:
    """The centre's answers to requests for grants; `open` is cleared to let them wait."""

    def __init__(self):
        self.asked = []
        self.answer = None
        self.open = asyncio.Event()
        self.open.set()

    async def request(self, subject, data, timeout_s):
        self.asked.append((subject, msgspec.json.decode(data, type=GrantRequest)))
        await self.open.wait()
        if self.answer is None:
            raise UnavailableError("away")
        return msgspec.json.encode(self.answer)


class FakeDirectory:
    def __init__(self, *names):
        self.values = [
            (
                f"channel.id-{name}",
                msgspec.json.encode(
                    ChannelRecord(channel_id=f"id-{name}", channel=name, user_id="u", title="T", category="C")
                ),
            )
            for name in names
        ]

    def get(self, key):
        return dict(self.values).get(key)

    def add_token(self, secret, user_id, **changes):
        record = TokenRecord(token_id="t", user_id=user_id, username="n", **changes)
        self.remove_token(secret)
        self.values.append((token_key(secret_hash(secret)), msgspec.json.encode(record)))

    def remove_token(self, secret):
        self.values = [one for one in self.values if one[0] != token_key(secret_hash(secret))]


def broadcast(**changes):
    fields = {
        "broadcast_id": BROADCAST,
        "channel_id": "id-alice",
        "channel": "alice",
        "user_id": "u",
        "edge_id": "edge1",
        "state": BroadcastState.LIVE,
        "started_at_ms": 1_700_000_000_000,
        "ladder": ["source"],
        "has_video": True,
        "has_audio": True,
        "part_target_s": 0.5,
        "target_duration_s": 2,
    }
    return Broadcast(**(fields | changes))


def rendition(name, inits=1, **changes):
    sound = name == "audio"
    video = VideoFormat(codec="avc1.64001f", width=1280, height=720, frame_rate=(30000, 1001))
    audio = AudioFormat(codec="mp4a.40.2", sample_rate=48000, channels=2)
    made = [
        Init(
            init=index,
            data=f"init-{name}-{index}".encode(),
            video=None if sound else video,
            audio=audio if sound else None,
        )
        for index in range(inits)
    ]
    fields = {"broadcast_id": BROADCAST, "name": name, "timescale": 1000, "inits": made}
    fields["bandwidth"] = 128_000 if sound else 3_000_000
    return Rendition(**(fields | changes))


def put_broadcast(catalogue, record):
    catalogue.live_changed(broadcast_key(record.broadcast_id), msgspec.json.encode(record))


def put_rendition(catalogue, record):
    catalogue.live_changed(rendition_key(record.broadcast_id, record.name), msgspec.json.encode(record))


class Chunks:
    """Writes one rendition: 500 ms parts, 4 in a segment, unless told otherwise."""

    def __init__(self, timescale=1000, part_ms=500, msn=0, chunks_per_part=1, closing=False):
        self.timescale = timescale
        self.part_ms = part_ms
        self.per_part = chunks_per_part
        self.closing = closing  # a segment is closed by an empty chunk
        self.msn, self.part, self.serial, self.dts, self.init = msn, 0, 0, 0, 0

    def _header(self, chunk, flags, duration):
        pdt = START_US + self.dts * 1_000_000 // self.timescale
        header = ChunkHeader(
            0, self.msn, self.part, chunk, self.serial, ChunkFlag(flags), self.dts, duration, pdt, self.init
        )
        self.dts += duration
        return header

    def next_part(self, *, last=False, flags=0):
        """Chunks of the next part."""
        found = []
        duration = self.part_ms * self.timescale // 1000 // self.per_part
        for chunk in range(self.per_part):
            mark = flags | (ChunkFlag.INDEPENDENT if self.part == 0 else 0) if chunk == 0 else 0
            ends = chunk == self.per_part - 1
            if ends:
                mark |= ChunkFlag.LAST_OF_PART
                if last and not self.closing:
                    mark |= ChunkFlag.LAST_OF_SEGMENT
            data = f"<{self.msn}.{self.part}.{chunk}>".encode()
            found.append((self._header(chunk, mark, duration), data))
        if last and self.closing:
            found.append((self._header(self.per_part, ChunkFlag.LAST_OF_PART | ChunkFlag.LAST_OF_SEGMENT, 0), b""))
        self.serial += 1
        self.part += 1
        if last:
            self.msn, self.part = self.msn + 1, 0
        return found

    def segment(self, parts=4, flags=0):
        found = []
        for index in range(parts):
            found += self.next_part(last=index == parts - 1, flags=flags if index == 0 else 0)
        return found

    def gap(self, ms=2000):
        found = (self._header(0, ChunkFlag.GAP | ChunkFlag.LAST_OF_SEGMENT, ms * self.timescale // 1000), b"")
        self.msn += 1
        return [found]


class Answer:
    def __init__(self, status, headers, body, head):
        self.status, self.headers, self.raw, self.head = status, headers, body, head
        self.at = time.monotonic()

    @property
    def body(self):
        return gzip.decompress(self.raw) if self.headers.get("content-encoding") == "gzip" else self.raw


async def settled(condition):
    """Waits until it holds."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


class Client:
    """One keep-alive connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port):
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, path, method="GET", body=None, **headers):
        lines = [f"{method} {path} HTTP/1.1", "Host: test"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b""))

    async def receive(self, method="GET"):
        head = await self.reader.readuntil(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {}
        for line in lines[1:-2]:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        status = int(lines[0].split()[1])
        body = b""
        if method != "HEAD" and "content-length" in headers:
            body = await self.reader.readexactly(int(headers["content-length"]))
        return Answer(status, headers, body, head)

    async def get(self, path, method="GET", body=None, **headers):
        self.send(path, method, body, **headers)
        return await asyncio.wait_for(self.receive(method), 5)

    async def close(self):
        self.writer.close()
        await self.writer.wait_closed()


class Origin:
    """A whole origin over a fake log, on a real loopback port."""

    def __init__(self, config, handoffs=None, tls=None):
        self.log, self.fan_out = FakeLog(), open_fan_out()
        loop = asyncio.get_running_loop()
        self.deliver = deliverer(loop, self.fan_out)
        self.tally = Tally()
        self.directory = FakeDirectory("alice", "bob")
        channels = Channels(self.tally)
        for key, value in self.directory.values:
            channels.directory_changed(key, value)
        self.store = PartStore(config.store_bytes, self.tally)
        self.skew = 0.0
        clock, self.archive, self.ready = loop.time, None, True
        if config.spool is not None:
            self.archive = Archive(
                config.spool, tally=self.tally, deliver=self.deliver, most_bytes=config.archive_bytes
            )
        self.audience = Audience(Hashes(b"a key"), self.tally)
        self.site = SiteAudience(self.audience, "this", self.tally, lambda: clock() + self.skew)
        self.catalogue = Catalogue(
            archive=self.archive, config=config, log=self.log, channels=channels, store=self.store,
            audience=self.site, tally=self.tally, deliver=self.deliver, clock=lambda: clock() + self.skew,
        )  # fmt: skip
        self.events = EventStream(self.catalogue.channels_document, config.event_clients)
        self.health = HealthStream(
            self.catalogue.health_document,
            self.catalogue.channel,
            self.directory,
            config.health_clients,
            lambda: 1000,
        )
        self.shelf = FakeShelf()
        self.thumbs = Thumbs(
            channels=self.catalogue, shelf=self.shelf, tally=self.tally, deliver=self.deliver,
            clock=lambda: clock() + self.skew, most_bytes=config.picture_bytes,
        )  # fmt: skip
        self.sums = Sums(self.tally)
        self.shedding = Shedding(config.beacons_per_s)
        beacons = Beacons(
            broadcast=self.catalogue.broadcast, audience=self.audience, sums=self.sums,
            limit=AddressLimit(config.beacons_per_address), shedding=self.shedding, tally=self.tally,
            clock=lambda: clock() + self.skew, now_ms=lambda: 1_700_000_000_000,
        )  # fmt: skip
        self.grants = Grants(self.tally.event)
        self.grants.sign_with(SigningKey(b"site" * 8))
        self.channels = channels
        self.now_ms = 1_700_000_000_000
        self.guard = Guard(self.grants, self.catalogue, lambda: self.now_ms)
        self.centre = FakeCentre()
        self.desk = GrantDesk(self.centre, "edge1", self.tally, clock)
        self.crowding = Crowding()
        routes = Routes(
            catalogue=self.catalogue, pages=Pages(config.pages), events=self.events, health=self.health,
            thumbs=self.thumbs, archive=self.archive, audience=self.audience, beacons=beacons, guard=self.guard,
            desk=self.desk, crowding=self.crowding, tally=self.tally, clock=clock,
            is_ready=lambda: self.ready, handoffs=handoffs or {},
            challenges=Challenges(config.acme_dir),
        )  # fmt: skip
        self.server = OriginServer(config=config, routes=routes, tally=self.tally, on_tick=self._tick, tls=tls)
        self.video, self.audio = Chunks(), Chunks()
        self._clients = []

    def directory_changed(self, key, record):
        value = None if record is None else msgspec.json.encode(record)
        self.channels.directory_changed(key, value)
        self.grants.directory_changed(key, value)

    def _tick(self):
        self.catalogue.tick()
        self.guard.tick()
        self.events.tick(asyncio.get_running_loop().time())

    def go_live(self, **changes):
        put_broadcast(self.catalogue, broadcast(**changes))
        put_rendition(self.catalogue, rendition("source"))
        put_rendition(self.catalogue, rendition("audio"))

    def add(self, name, chunks):
        for header, data in chunks:
            self.log.add(name, header, data)

    def add_segments(self, count):
        for _ in range(count):
            self.add("source", self.video.segment())
            self.add("audio", self.audio.segment())

    def add_part(self):
        self.add("source", self.video.next_part())
        self.add("audio", self.audio.next_part())

    async def client(self):
        client = await Client.connect(self.server.port)
        self._clients.append(client)
        return client

    async def close(self):
        await self.catalogue.close()
        await self.thumbs.close()
        await self.desk.close()
        if self.archive is not None:
            await self.archive.close()
        await self.server.stop()
        self.fan_out.close()
        for client in self._clients:
            client.writer.close()
        await asyncio.sleep(0)


async def start_origin(handoffs=None, tls=None, **changes):
    """A listening origin on a free port."""
    config = dataclasses.replace(OriginConfig(port=0, https_port=0, reuse_port=False, drain_s=0.2), **changes)
    origin = Origin(config, handoffs, tls)
    await origin.server.start()
    return origin
