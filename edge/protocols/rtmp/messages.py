"""Message types and the control messages a server sends (RTMP 1.0, 5.4 and 7.1)."""

from collections.abc import Sequence
from typing import Final

from edge.protocols import amf
from edge.protocols.rtmp.chunks import Message

SET_CHUNK_SIZE: Final = 1
ABORT: Final = 2
ACKNOWLEDGEMENT: Final = 3
USER_CONTROL: Final = 4
WINDOW_ACK_SIZE: Final = 5
SET_PEER_BANDWIDTH: Final = 6
AUDIO: Final = 8
VIDEO: Final = 9
DATA_AMF3: Final = 15
COMMAND_AMF3: Final = 17
DATA_AMF0: Final = 18
COMMAND_AMF0: Final = 20
AGGREGATE: Final = 22

STREAM_BEGIN: Final = 0
PING_REQUEST: Final = 6
PING_RESPONSE: Final = 7

_DYNAMIC: Final = 2


def set_chunk_size(size: int) -> Message:
    return Message(SET_CHUNK_SIZE, 0, 0, size.to_bytes(4, "big"))


def acknowledgement(received: int) -> Message:
    """Bytes received so far; the counter wraps at 2^32."""
    return Message(ACKNOWLEDGEMENT, 0, 0, (received % (1 << 32)).to_bytes(4, "big"))


def window_ack_size(size: int) -> Message:
    return Message(WINDOW_ACK_SIZE, 0, 0, size.to_bytes(4, "big"))


def set_peer_bandwidth(size: int) -> Message:
    return Message(SET_PEER_BANDWIDTH, 0, 0, size.to_bytes(4, "big") + bytes([_DYNAMIC]))


def user_control(event: int, data: bytes) -> Message:
    return Message(USER_CONTROL, 0, 0, event.to_bytes(2, "big") + data)


def command(stream_id: int, values: Sequence[amf.AmfValue | int]) -> Message:
    return Message(COMMAND_AMF0, stream_id, 0, amf.encode(values))


def status(stream_id: int, level: str, code: str, description: str) -> Message:
    """onStatus (RTMP 1.0, 7.2.2)."""
    information: dict[str, amf.AmfValue] = {"level": level, "code": code, "description": description}
    return command(stream_id, ["onStatus", 0, None, information])


def reconnect_request(tc_url: str, description: str) -> Message:
    """onStatus of the NetConnection (Enhanced RTMP v2, "Reconnect Request")."""
    information: dict[str, amf.AmfValue] = {
        "level": "status",
        "code": "NetConnection.Connect.ReconnectRequest",
        "description": description,
    }
    if tc_url:
        information["tcUrl"] = tc_url
    return command(0, ["onStatus", 0, None, information])


def split_aggregate(message: Message) -> list[Message]:
    """The FLV tags of an aggregate message (7.1.6), stamps shifted to its own. Cut tags are lost."""
    payload, at = message.payload, 0
    out: list[Message] = []
    first: int | None = None
    while at + 11 <= len(payload):
        size = int.from_bytes(payload[at + 1 : at + 4], "big")
        stamp = int.from_bytes(payload[at + 4 : at + 7], "big") | payload[at + 7] << 24
        first = stamp if first is None else first
        body = payload[at + 11 : at + 11 + size]
        if len(body) < size:
            break
        shifted = (message.timestamp + stamp - first) % (1 << 32)
        out.append(Message(payload[at], message.stream_id, shifted, body))
        at += 11 + size + 4
    return out
