"""What the payload formats share: packets of one time stamp are one frame, the marker ends it."""

from abc import ABC, abstractmethod
from typing import Final, NamedTuple, Protocol

from edge.protocols.webrtc.errors import RtpError
from edge.protocols.webrtc.rtp import RtpPacket

_MOST_BYTES: Final = 8 << 20  # of one frame


class Frame(NamedTuple):
    """One access unit, temporal unit, picture or audio packet.

    `pieces`: NAL units (h264, h265), OBUs as sent (av1), else the frame in one piece. `timestamp` has 32 bits,
    `at` is when its first packet came. `damaged`: it, or something it refers to, is incomplete.
    """

    timestamp: int
    pieces: tuple[bytes, ...]
    key: bool
    damaged: bool
    at: float


class Depayloader(Protocol):
    """One codec of one track."""

    def push(self, packet: RtpPacket, after_loss: bool = False) -> list[Frame]:
        """The frames that this packet completes, none to two. `after_loss`: packets before it are missing."""


class FrameCollector(ABC):
    """Collects one frame at a time. A subclass reads payloads in `_take` and names frame starts in `_begins`."""

    def __init__(self) -> None:
        self._timestamp = -1
        self._at = 0.0
        self._pieces: list[bytes] = []
        self._size = 0
        self._key = False
        self._damaged = False
        self._after_loss = False  # frames before this one may be missing
        self._fragment: list[bytes] | None = None

    def push(self, packet: RtpPacket, after_loss: bool = False) -> list[Frame]:
        """The frames that this packet completes, none to two."""
        out = []
        if packet.timestamp != self._timestamp:
            if self._pieces:  # its marker was lost, or the sender sets none
                self._damaged = self._damaged or after_loss
                out.append(self._finish())
            self._timestamp, self._at = packet.timestamp, packet.at
        if not packet.payload:  # a probe of padding
            self._after_loss = self._after_loss or after_loss
            return out
        if after_loss:
            self._lost(packet.payload)
        self._read(packet.payload)
        if packet.marker and self._pieces:
            out.append(self._finish())
        return out

    def _lost(self, payload: bytes) -> None:
        """Something before this payload is missing: of this frame, or only of those before it."""
        self._after_loss = True
        self._fragment = None
        if self._pieces or not self._begins(payload):
            self._damaged = True

    def _read(self, payload: bytes) -> None:
        try:
            self._take(payload)
        except (IndexError, RtpError):
            self._damaged = True
        if self._size > _MOST_BYTES:
            self._pieces, self._size, self._fragment = self._pieces[:1], 0, None
            self._damaged = True

    def _finish(self) -> Frame:
        damaged = self._damaged or self._fragment is not None or (self._after_loss and not self._key)
        frame = Frame(self._timestamp, self._joined(), self._key, damaged, self._at)
        self._pieces, self._size, self._fragment = [], 0, None
        self._key = self._damaged = self._after_loss = False
        return frame

    def _add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)

    def _open(self, piece: bytes) -> None:
        """The first fragment of a piece."""
        self._fragment = [piece]
        self._size += len(piece)

    def _extend(self, piece: bytes) -> None:
        """A further fragment. RtpError when the first one is missing."""
        if self._fragment is None:
            raise RtpError("a fragment without its beginning")
        self._fragment.append(piece)
        self._size += len(piece)

    def _close(self) -> bytes:
        """The whole piece of the fragments."""
        whole = b"".join(self._fragment or ())
        self._fragment = None
        self._size -= len(whole)
        return whole

    def _joined(self) -> tuple[bytes, ...]:
        return tuple(self._pieces)

    @abstractmethod
    def _take(self, payload: bytes) -> None:
        """Reads one payload. RtpError or IndexError when it is damaged."""

    @abstractmethod
    def _begins(self, payload: bytes) -> bool:
        """Whether this payload is surely the first one of its frame."""
