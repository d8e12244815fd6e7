"""Moments of a broadcast: things that happened at a time of its media, told to players in the playlist."""

import enum
import unicodedata

import msgspec

MOST = 100  # of a broadcast; the oldest are forgotten
MAX_TEXT = 200  # characters


class MomentKind(enum.StrEnum):
    """What happened."""

    TITLE = "title"  # `text` is the title from then on
    CATEGORY = "category"
    MARKER = "marker"  # set by the streamer
    CUE = "cue"  # sent by the encoder


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. Its id is never used again."""

    moment_id: str
    kind: MomentKind
    at_ms: int  # on the clock of EXT-X-PROGRAM-DATE-TIME, Unix milliseconds
    text: str


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """Those of a broadcast, oldest first, at `moments.<broadcast>` of the live bucket. Written by ingest only."""

    broadcast_id: str
    moments: list[Moment] = []


class MomentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Asks whoever writes a broadcast to mark its present moment; the answer is the `Moment`."""

    broadcast_id: str
    text: str
    nonce: str = ""  # the same marker with the same nonce is set once


def plain(text: str) -> str:
    """`text` on one line, without control characters and double quotes, cut to MAX_TEXT."""
    text = text.replace('"', "\N{RIGHT DOUBLE QUOTATION MARK}")
    kept = "".join(" " if unicodedata.category(one)[0] in "ZC" else one for one in text)
    return " ".join(kept.split())[:MAX_TEXT].rstrip()
