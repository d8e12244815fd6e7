"""What a gateway says to its clients, as whole WebSocket frames."""

import functools
from collections.abc import Callable, Iterable, Sequence

import msgspec

from appliance.contracts.chat import PING_INTERVAL_S
from appliance.contracts.errors import NearcastError
from appliance.contracts.moderation import Modes
from edge.chat.positions import Position
from edge.chat.ring import Entry
from edge.protocols.websocket.deflate import compress
from edge.protocols.websocket.frames import Opcode, build_frame, text_frame

PACK_FROM = 512  # bytes: two messages become half as long, a single one hardly shorter
encode = msgspec.json.encode


Says = Callable[[Position], str]  # a position as clients are told it


def messages_json(position: str, messages: Iterable[bytes]) -> bytes:
    """A "messages" document; each message is JSON already, `position` that of the last."""
    return b'{"type":"messages","position":"%b","messages":[%b]}' % (position.encode(), b",".join(messages))


def entries_documents(entries: Sequence[Entry], says: Says) -> list[bytes]:
    """Entries as JSON documents, in order: a run of messages is one, an event is one by itself."""
    documents: list[bytes] = []
    run: list[bytes] = []
    for entry in entries:
        if not entry.event:
            run.append(entry.data)
            position = entry.position
            continue
        if run:
            documents.append(messages_json(says(position), run))
            run = []
        documents.append(entry.data)
    if run:
        documents.append(messages_json(says(position), run))
    return documents


def text_frames(documents: Sequence[bytes]) -> bytes:
    """A frame for each document."""
    frames = [text_frame(document) for document in documents]
    return frames[0] if len(frames) == 1 else b"".join(frames)


def packed_frames(documents: Sequence[bytes]) -> bytes:
    """As text_frames, but compressed where that pays."""
    frames = [_packed(document) for document in documents]
    return frames[0] if len(frames) == 1 else b"".join(frames)


def _packed(document: bytes) -> bytes:
    if len(document) >= PACK_FROM:
        packed = compress(document)
        if len(packed) < len(document):
            return build_frame(Opcode.TEXT, packed, compressed=True)
    return text_frame(document)


def entries_frames(entries: Sequence[Entry], says: Says) -> bytes:
    """Entries as plain frames, in order."""
    return text_frames(entries_documents(entries, says))


def gap_frame(after: str, before: str) -> bytes:
    """Says that what is behind position `after` and not behind `before` could not be kept."""
    return text_frame(encode({"type": "gap", "after": after, "before": before}))


def hello_frame(stream_id: str, channel: str, position: str, user: object, modes: object) -> bytes:
    """The first frame. What follows it is everything behind `position`."""
    return text_frame(
        encode(
            {
                "type": "hello",
                "stream_id": stream_id,
                "channel": channel,
                "position": position,
                "user": user,
                "modes": modes,
                "ping_interval": PING_INTERVAL_S,
            }
        )
    )


@functools.lru_cache(256)
def anonymous_hello(stream_id: str, channel: str, position: str, modes: Modes) -> bytes:
    """The same for all who come to a room at the same time without a token."""
    return hello_frame(stream_id, channel, position, None, modes)


def ack_frame(nonce: str, message_id: str, timestamp: int, *, held: bool = False, notice: str = "") -> bytes:
    """The sender's message is durable. `held`: a moderator looks at it first; `notice`: the answer of a command."""
    body: dict[str, object] = {"type": "ack", "nonce": nonce, "message_id": message_id, "timestamp": timestamp}
    if held:
        body["held"] = True
    if notice:
        body["notice"] = notice
    return text_frame(encode(body))


def error_frame(error: NearcastError, nonce: str) -> bytes:
    """What a client sent was refused."""
    body: dict[str, object] = {"type": "error", "code": str(error.code), "detail": error.detail}
    if nonce:
        body["nonce"] = nonce
    if error.retry_after_s is not None:
        body["retry_after"] = round(error.retry_after_s, 3)
    return text_frame(encode(body))


def stream_event(stream_id: str, state: str) -> bytes:
    """The JSON of the event that tells a room how its channel's broadcast fares."""
    return encode({"type": "event", "event": "stream", "state": state, "stream_id": stream_id})
