"""A publisher's session as streamers and supporters see it, and the capture of one on request."""

import msgspec


class SessionEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, in the order in which it did. `text` is a sentence."""

    at_ms: int
    code: str
    text: str


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A publisher at one moment, at `session.<channel_id>.<slot>` of the live bucket; written by ingest.

    Sizes in bytes. `queued_bytes` wait for the packager, `spool_bytes` of the whole process for the part log.
    """

    session_id: str
    channel_id: str
    channel: str
    broadcast_id: str
    slot: str  # "primary" or "standby"
    kind: str  # "rtmp", "rtmps" or "whip"
    address: str
    encoder: str
    since_ms: int
    at_ms: int
    ended_at_ms: int = 0  # 0: it runs
    received_bytes: int = 0
    bit_rate: int = 0  # bit/s received since the record before
    rtt_ms: float | None = None
    lost_packets: int = 0
    queued_bytes: int = 0
    spool_bytes: int = 0
    quirks: list[str] = []
    events: list[SessionEvent] = []  # the newest last


class ReleaseRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Asks an ingest process to let go of a channel. Its publisher is ended by one of the same slot, and waits
    behind one of the other slot."""

    channel_id: str
    slot: str


class CaptureRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Asks ingest to keep what a channel's encoder sends, for so many seconds and bytes at most."""

    channel: str
    seconds: float = 30.0
    max_bytes: int = 64 << 20


class CaptureAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`file` is being written, and complete after `seconds`. `detail` says why there is none."""

    file: str = ""
    detail: str = ""
