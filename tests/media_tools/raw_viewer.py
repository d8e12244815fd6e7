"""A viewer by WHEP that shows nothing: it connects, counts and answers checks, which costs next to nothing."""

import asyncio
import collections
import secrets
import socket
from collections.abc import Awaitable, Callable
from typing import Self

from aioice import stun

from edge.net.certificate import Identity
from edge.protocols.webrtc.dtls import DtlsEndpoint
from edge.protocols.webrtc.rtp import RtpPacket, is_rtcp, parse_packet
from tests.media_tools.whep_viewer import Answered

_SECTIONS = """m=video 9 UDP/TLS/RTP/SAVPF 96 97
a=mid:0
a=recvonly
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1;profile-level-id=42e01f
a=rtcp-fb:96 nack
a=rtcp-fb:96 goog-remb
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=mid:1
a=recvonly
a=rtpmap:111 opus/48000/2
"""
VIDEO, AUDIO = 96, 111
_IDENTITY = Identity(0.0)

Look = Callable[[RtpPacket], None]
Ask = Callable[[str, str, str, dict[str, str]], Awaitable[Answered]]


class RawViewer:
    """Connects within a `with`; `look` is given each packet, decrypted. `before` stands before the path."""

    def __init__(
        self, ask: Ask, channel: str, look: Callable[[RtpPacket], None] | None = None, before: str = ""
    ) -> None:
        self.packets: collections.Counter[int] = collections.Counter()  # by payload type
        self.sizes: collections.Counter[int] = collections.Counter()  # of datagrams
        self.closed = asyncio.Event()
        self.location = ""
        self._ask = ask
        self._path = f"{before}/whep/{channel}"
        self._look = look
        self._media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._media.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._media.bind(("127.0.0.1", 0))
        self._media.setblocking(False)
        self._checks: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE 0 1", "a=setup:actpass"]
        lines += [f"a=ice-ufrag:{secrets.token_hex(4)}", f"a=ice-pwd:{secrets.token_hex(12)}"]
        lines += [f"a=fingerprint:sha-256 {_IDENTITY.fingerprint}", *_SECTIONS.strip().split("\n"), ""]
        fields = {"content-type": "application/sdp"}
        answered = await self._ask("POST", self._path, "\r\n".join(lines), fields)
        assert answered.status == 201, answered
        self.location = answered.fields["location"]
        await self._connect(answered.body)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._checks is not None:
            self._checks.cancel()
        asyncio.get_running_loop().remove_reader(self._media)
        self._media.close()

    async def _connect(self, answer: str) -> None:
        found = {line.partition(":")[0]: line.partition(":")[2] for line in reversed(answer.split("\r\n"))}
        candidate = found["a=candidate"].split()
        self._server = candidate[4], int(candidate[5])
        self._names = found["a=ice-ufrag"], found["a=ice-pwd"]
        loop = asyncio.get_running_loop()
        self._send(self._check())
        await self._take()
        self._dtls = DtlsEndpoint(
            _IDENTITY.context, active=True, fingerprints=[("sha-256", found["a=fingerprint"].split()[1])]
        )
        for datagram in self._dtls.begin():
            self._send(datagram)
        while self._dtls.srtp is None:
            for datagram in self._dtls.receive(await self._take()):
                self._send(datagram)
        loop.add_reader(self._media, self._readable)
        self._checks = loop.create_task(self._keep_checking())

    def feed_back(self, report: bytes) -> None:
        """Sends RTCP."""
        assert self._dtls.srtp is not None
        self._send(self._dtls.srtp.protect_rtcp(report))

    async def _keep_checking(self) -> None:
        while True:
            await asyncio.sleep(2.0)
            self._send(self._check())

    def _check(self) -> bytes:
        message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{self._names[0]}:remote"
        message.attributes["PRIORITY"] = 9
        message.attributes["ICE-CONTROLLING"] = 1
        message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(self._names[1].encode())
        return bytes(message)

    def _send(self, datagram: bytes) -> None:
        self._media.sendto(datagram, self._server)

    async def _take(self) -> bytes:
        async with asyncio.timeout(5):
            return await asyncio.get_running_loop().sock_recv(self._media, 2048)

    def _readable(self) -> None:
        for _ in range(256):
            try:
                datagram = self._media.recv(2048)
            except OSError:
                return
            if 20 <= datagram[0] <= 63:
                self._dtls.receive(datagram)
                if self._dtls.closed:
                    self.closed.set()
            elif datagram[0] >> 6 == 2 and not is_rtcp(datagram):
                self.packets[datagram[1] & 0x7F] += 1
                self.sizes[len(datagram)] += 1
                if self._look is not None and self._dtls.srtp is not None:
                    self._look(parse_packet(self._dtls.srtp.unprotect(datagram), 0.0))
