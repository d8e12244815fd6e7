"""Frames (RFC 9113, 4 and 6): numbers, and the ones a server writes."""

import struct
from collections.abc import Iterable, Iterator

from edge.protocols.http2.errors import ErrorCode, Http2Error

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_FRAME = 16_384  # payload: what both sides take without a setting
MAX_WINDOW = (1 << 31) - 1
FIRST_WINDOW = 65_535
HEADER = 9
U32 = struct.Struct("!I")
_SETTING = struct.Struct("!HI")
_GOAWAY = struct.Struct("!II")


class Kind:
    """Types of frames: plain integers, because one is compared for each frame."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Flag:
    """Flags; ACK and END_STREAM share a bit."""

    END_STREAM = 0x1
    ACK = 0x1
    END_HEADERS = 0x4
    PADDED = 0x8
    PRIORITY = 0x20


class Setting:
    """Settings that are read or written here."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


def prefix(length: int, kind: int, flags: int) -> bytes:
    """A frame's header without its stream."""
    return length.to_bytes(3, "big") + bytes((kind, flags))


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A whole frame."""
    return prefix(len(payload), kind, flags) + U32.pack(stream) + payload


def settings(values: Iterable[tuple[int, int]]) -> bytes:
    return frame(Kind.SETTINGS, 0, 0, b"".join(_SETTING.pack(name, value) for name, value in values))


SETTINGS_ACK = frame(Kind.SETTINGS, Flag.ACK, 0)


def ping_ack(payload: bytes) -> bytes:
    return frame(Kind.PING, Flag.ACK, 0, payload)


def reset(stream: int, reason: ErrorCode) -> bytes:
    return frame(Kind.RST_STREAM, 0, stream, U32.pack(reason))


def window_update(stream: int, size: int) -> bytes:
    return frame(Kind.WINDOW_UPDATE, 0, stream, U32.pack(size))


def goaway(last: int, reason: ErrorCode, detail: str = "") -> bytes:
    """`last`: the highest stream that was or will be served."""
    return frame(Kind.GOAWAY, 0, 0, _GOAWAY.pack(last, reason) + detail.encode())


def read_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """Checked settings of a peer (6.5.2); unknown ones are left out. Http2Error."""
    for name, value in _SETTING.iter_unpack(payload):
        if name == Setting.ENABLE_PUSH and value > 1:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "malformed ENABLE_PUSH")
        if name == Setting.INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "window too large")
        if name == Setting.MAX_FRAME_SIZE and not MAX_FRAME <= value < 1 << 24:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "malformed MAX_FRAME_SIZE")
        if name in (Setting.HEADER_TABLE_SIZE, Setting.INITIAL_WINDOW_SIZE):
            yield name, value


def unpadded(flags: int, payload: bytes) -> bytes:
    """What a padded frame holds (6.1, 6.2). Http2Error when it is padding alone or more."""
    if not flags & Flag.PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "more padding than frame")
    return payload[1 : len(payload) - payload[0]]
