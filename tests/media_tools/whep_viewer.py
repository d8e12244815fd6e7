"""A viewer by WHEP that is no browser: aiortc's peer, its own decoders."""

import asyncio
import contextlib
import fractions
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import av
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack


class Answered(NamedTuple):
    """An HTTP answer; fields in lower case."""

    status: int
    fields: dict[str, str]
    body: str


Ask = Callable[[str, str, str, dict[str, str]], Awaitable[Answered]]
"""(method, path, body, fields) of a request."""


class Seen(NamedTuple):
    """A decoded frame: its media time in seconds and when it was there, monotonic."""

    media_s: float
    at: float
    frame: av.VideoFrame | av.AudioFrame


@dataclass
class WhepViewer:
    """Watches one channel within a `with`; frames are given to `look` and not kept."""

    ask: Ask
    channel: str
    look: Callable[[str, Seen], None] = lambda kind, seen: None
    counts: dict[str, int] = field(default_factory=lambda: {"video": 0, "audio": 0})
    answered: Answered | None = None

    async def __aenter__(self) -> Self:
        self.peer = RTCPeerConnection()
        self._tasks: list[asyncio.Task[None]] = []
        self.peer.addTransceiver("video", direction="recvonly")
        self.peer.addTransceiver("audio", direction="recvonly")
        self.peer.on("track", self._begin)
        await self.peer.setLocalDescription(await self.peer.createOffer())
        offer = self.peer.localDescription.sdp
        fields = {"content-type": "application/sdp"}
        self.answered = await self.ask("POST", f"/whep/{self.channel}", offer, fields)
        if self.answered.status == 201:
            answer = RTCSessionDescription(self.answered.body, "answer")
            await self.peer.setRemoteDescription(answer)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.peer.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def location(self) -> str:
        """Path of its session."""
        assert self.answered is not None
        return self.answered.fields["location"]

    @property
    def is_closed(self) -> bool:
        """Whether the server has ended it."""
        return self.peer.connectionState in ("closed", "failed")

    async def until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Waits for something. AssertionError when it does not come."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not condition():
                    await asyncio.sleep(0.02)
        assert condition(), f"frames {self.counts}, {self.peer.connectionState}, {self.answered}"

    def _begin(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.ensure_future(self._read(track)))

    async def _read(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.VideoFrame | av.AudioFrame)
                self.counts[track.kind] += 1
                media_s = (frame.pts or 0) * (frame.time_base or fractions.Fraction(0))
                self.look(track.kind, Seen(float(media_s), time.monotonic(), frame))
