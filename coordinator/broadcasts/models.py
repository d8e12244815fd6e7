"""Broadcasts as they are stored and announced."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from appliance.contracts.events import BroadcastEventKind, PublisherReport
from coordinator.endpoints import Ingest


class Status(StrEnum):
    """created -> live <-> interrupted -> ended; any -> ended, and that is final."""

    CREATED = "created"
    LIVE = "live"
    INTERRUPTED = "interrupted"
    ENDED = "ended"


STATUS_AFTER = {
    BroadcastEventKind.STARTED: Status.LIVE,
    BroadcastEventKind.INTERRUPTED: Status.INTERRUPTED,
    BroadcastEventKind.RESUMED: Status.LIVE,
    BroadcastEventKind.ENDED: Status.ENDED,
}


@dataclass(frozen=True, slots=True)
class BroadcastRow:
    """A broadcast with the name of its channel."""

    stream_id: str
    channel_id: str
    channel: str
    user_id: str
    title: str
    category: str
    status: str
    edge_id: str
    started_at: datetime | None
    ended_at: datetime | None
    vod_url: str | None


class NewStream(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /streams."""

    title: str
    user_id: str
    category: str = ""


class CreatedStream(msgspec.Struct, frozen=True, kw_only=True):
    """`stream_key` opens this stream and is shown this once. URLs of RTMP take the key as the name."""

    stream_id: str
    stream_key: str
    ingest_url: str
    ingest_urls: list[str]
    playback_url: str
    chat_url: str


class IngestList(msgspec.Struct, frozen=True, kw_only=True):
    """Nearest first."""

    ingests: list[Ingest]


class PublisherList(msgspec.Struct, frozen=True, kw_only=True):
    """How the publishers of a stream fared, the newest first."""

    publishers: list[PublisherReport]
