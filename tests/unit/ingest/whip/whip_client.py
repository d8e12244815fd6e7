"""A publisher of our own making, and the gate it meets."""

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from typing import Any

from webrtc_bytes import AUDIO, VIDEO, check, offer

from edge.ingest.keys import Refusal
from edge.ingest.publisher import Publisher, Target
from edge.net.certificate import Identity
from edge.protocols.rtmp import Event
from edge.protocols.webrtc.dtls import DtlsEndpoint

IDENTITY = Identity(0.0)
KEY = "good"


@dataclass
class FakeSink:
    """Keeps what was offered."""

    events: list[Event] = field(default_factory=list)
    ended: list[tuple[str, bool]] = field(default_factory=list)
    queued_bytes: int = 0

    def offer(self, event: Event, now_us: int) -> None:
        self.events.append(event)

    def end(self, reason: str, *, clean: bool = False) -> None:
        self.ended.append((reason, clean))


@dataclass
class FakeGate:
    """Lets KEY in, and stands for Access too."""

    sink: FakeSink = field(default_factory=FakeSink)
    full: bool = False
    refusal: Refusal | None = None
    late_refusal: str = ""
    warnings: list[tuple[str, str, str]] = field(default_factory=list)
    publishers: list[Publisher] = field(default_factory=list)
    encoders: list[str] = field(default_factory=list)

    async def check(self, key: str) -> Refusal | None:
        return self.refusal if key == KEY else Refusal("unknown_key" if key else "no_key", "This key is not known.")

    def admit(self, publisher: Publisher, target: Target) -> None:
        if self.late_refusal:
            publisher.refuse(self.late_refusal, "not now")
            return
        self.publishers.append(publisher)
        self.encoders.append(publisher.encoder)
        publisher.accept(self.sink)

    def is_full(self, sink: Any) -> bool:
        return self.full

    def warn(self, key: str, code: str, text: str) -> None:
        self.warnings.append((key, code, text))


@dataclass
class Answered:
    """An HTTP answer."""

    status: int
    fields: dict[str, str]
    body: str


class Browser:
    """HTTP by a socket pair, media by a socket."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.media.bind(("127.0.0.1", 0))
        self.media.setblocking(False)
        self.dtls: DtlsEndpoint | None = None
        self.fragment = self.password = ""
        self.location = ""
        self.received: list[bytes] = []

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.server.adopt(theirs, b"", "127.0.0.1")
        return await asyncio.open_connection(sock=ours)

    async def ask(self, method: str, path: str, body: str = "", **fields: str) -> Answered:
        """One request on a connection of its own."""
        reader, writer = await self.open()
        try:
            return await request(reader, writer, method, path, body, **fields)
        finally:
            writer.close()

    async def post(self, text: str = "", key: str = KEY) -> Answered:
        """Publishes an offer of ours."""
        text = text or offer(VIDEO, AUDIO)
        text = text.replace(":".join(["AB"] * 32), IDENTITY.fingerprint)
        answered = await self.ask(
            "POST", "/whip", text, authorization=f"Bearer {key}", content_type="application/sdp", user_agent="Test"
        )
        if answered.status == 201:
            lines = dict(
                line[2:].split(":", 1)
                for line in answered.body.split("\r\n")
                if line.startswith(("a=ice-ufrag", "a=ice-pwd"))
            )
            if "ice-ufrag" not in lines:
                raise AssertionError(answered.body)
            self.fragment, self.password = lines["ice-ufrag"], lines["ice-pwd"]
            self.fingerprint = answered.body.split("a=fingerprint:sha-256 ")[1].split("\r\n")[0]
            self.location = answered.fields["location"]
        return answered

    def send(self, datagram: bytes) -> None:
        self.media.sendto(datagram, ("127.0.0.1", self.server.port))

    async def take(self, timeout_s: float = 1.0) -> bytes:
        async with asyncio.timeout(timeout_s):
            return await asyncio.get_running_loop().sock_recv(self.media, 2048)

    async def connect(self) -> None:
        """A check, then the handshake."""
        self.send(check(self.fragment, self.password, nominate=True))
        assert (await self.take())[:2] == b"\x01\x01"
        self.dtls = DtlsEndpoint(IDENTITY.context, active=True, fingerprints=[("sha-256", self.fingerprint)])
        for datagram in self.dtls.begin():
            self.send(datagram)
        while self.dtls.srtp is None:
            for datagram in self.dtls.receive(await self.take()):
                self.send(datagram)
        await settled()

    def rtp(self, packet: bytes) -> None:
        """Sends an RTP packet."""
        assert self.dtls is not None
        assert self.dtls.srtp is not None
        self.send(self.dtls.srtp._out.protect(packet))

    async def rtcp(self, timeout_s: float = 1.0) -> bytes:
        """The next RTCP packet that the server sends."""
        assert self.dtls is not None
        assert self.dtls.srtp is not None
        while True:
            datagram = await self.take(timeout_s)
            if datagram[0] >> 6 == 2:
                return self.dtls.srtp.unprotect_rtcp(datagram)

    def close(self) -> None:
        self.media.close()


async def request(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    method: str,
    path: str,
    body: str = "",
    **fields: str,
) -> Answered:
    """One request and its answer."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body.encode())}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    writer.write("\r\n".join([*lines, "", body]).encode())
    async with asyncio.timeout(2):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, *rest = head.strip().split("\r\n")
        found = {name.lower(): value for name, value in (line.split(": ", 1) for line in rest)}
        content = await reader.readexactly(int(found.get("content-length", "0")))
    return Answered(int(status.split()[1]), found, content.decode())


async def settled() -> None:
    """Lets what was sent arrive, be it at the server's next tick."""
    for _ in range(4):
        await asyncio.sleep(0.01)


async def until(condition: Any, timeout_s: float = 2.0) -> None:
    """Waits for something that our server does in a moment."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.005)
    assert condition()
