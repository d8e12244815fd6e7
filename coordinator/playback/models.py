"""The playback answer."""

from datetime import datetime

import msgspec


class Playback(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is created, live, interrupted or vod; URLs nearest first.

    Of a channel that is not for everybody the URLs carry the grant, which is given besides; it can be renewed at
    an edge until `renew_until`.
    """

    stream_id: str
    status: str
    playback_url: str
    playback_urls: list[str]
    chat_url: str
    thumbnail_url: str | msgspec.UnsetType = msgspec.UNSET
    grant: str | msgspec.UnsetType = msgspec.UNSET
    expires_at: datetime | msgspec.UnsetType = msgspec.UNSET
    renew_until: datetime | msgspec.UnsetType = msgspec.UNSET
