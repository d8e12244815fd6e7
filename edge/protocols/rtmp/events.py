"""What an RtmpConnection tells its owner."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from edge.protocols.amf import AmfValue
from edge.protocols.record import Record


class Connected(NamedTuple):
    """The connect command. `encoder` is flashVer, what the publisher calls itself.

    `caps_ex` are the CapsEx bits and `codecs` the FourCCs it says it has (Enhanced RTMP v2), 0 and () for none.
    """

    app: str
    tc_url: str
    encoder: str
    caps_ex: int = 0
    codecs: tuple[str, ...] = ()


class PublishRequested(NamedTuple):
    """Answer with accept_publish() or refuse_publish(). `key` may be empty; it is a secret."""

    key: str
    params: Mapping[str, str]
    kind: str  # live, record, append or ""

    def __repr__(self) -> str:
        return f"PublishRequested(kind={self.kind!r})"


class Metadata(NamedTuple):
    """onMetaData; a hint, never a promise."""

    values: Mapping[str, AmfValue]


class Cue(NamedTuple):
    """onCuePoint or onTextData: something that happens at this moment of the stream, in words."""

    text: str


class VideoData(Record):
    """A video message: FLV video tag body and its 32-bit millisecond stamp."""

    __slots__ = ("body", "timestamp")

    def __init__(self, timestamp: int, body: bytes) -> None:
        self.timestamp = timestamp
        self.body = body

    def fields(self) -> tuple[object, ...]:
        """See Record."""
        return self.timestamp, self.body


class AudioData(Record):
    """An audio message: FLV audio tag body and its 32-bit millisecond stamp."""

    __slots__ = ("body", "timestamp")

    def __init__(self, timestamp: int, body: bytes) -> None:
        self.timestamp = timestamp
        self.body = body

    def fields(self) -> tuple[object, ...]:
        """See Record."""
        return self.timestamp, self.body


class Unpublished(NamedTuple):
    """The publisher said that it stops. The connection stays open and may publish again."""


class Quirk(NamedTuple):
    """Something tolerated. `kind` is a stable word for a metric's label."""

    kind: str


class Closed(NamedTuple):
    """The connection is over: send what is left and close. `code` is a stable word, `reason` a sentence."""

    code: str
    reason: str


Event: TypeAlias = (
    Connected | PublishRequested | Metadata | Cue | VideoData | AudioData | Unpublished | Quirk | Closed
)
