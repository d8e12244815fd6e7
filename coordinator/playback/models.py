"""The playback answer."""

import msgspec


class Playback(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is created, live, interrupted or vod; URLs nearest first."""

    stream_id: str
    status: str
    playback_url: str
    playback_urls: list[str]
    chat_url: str
    thumbnail_url: str | msgspec.UnsetType = msgspec.UNSET
