"""The server's side of one RTMP connection, without a socket.

    HANDSHAKE -> CONNECTING -> IDLE -> REQUESTED -> PUBLISHING -> IDLE -> ...    any -> CLOSED

`_COMMANDS` lists which command is understood in which state; others with a transaction id get an empty
_result. After CLOSED the object ignores everything.
"""

import enum
from collections.abc import Callable
from typing import Final

import msgspec

from appliance.contracts.errors import BadInputError
from edge.protocols import amf
from edge.protocols.rtmp import messages as wire
from edge.protocols.rtmp.capabilities import CapsEx, our_capabilities, read_capabilities
from edge.protocols.rtmp.chunks import ChunkReader, ChunkWriter, Message
from edge.protocols.rtmp.events import (
    AudioData,
    Closed,
    Connected,
    Cue,
    Event,
    Metadata,
    PublishRequested,
    Quirk,
    Unpublished,
    VideoData,
)
from edge.protocols.rtmp.handshake import ServerHandshake
from edge.protocols.rtmp.names import publish_target
from edge.protocols.rtmp.streams import FIRST, MessageStreams

_WINDOW: Final = 2_500_000
_CHUNK_SIZE: Final = 4096
_CONTROL: Final = 2  # chunk streams
_COMMAND: Final = 3
_STATUS: Final = 5
_MAX_QUIRK_KINDS: Final = 64
_CUE_NAMES: Final = ("onCuePoint", "onTextData")
_CUE_AT_MOST: Final = 1000  # characters


class RtmpLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds."""

    connect_s: float = 10.0  # from the first byte to the connect command
    publish_s: float = 20.0  # from there to publish, and from publish to the first media
    idle_s: float = 10.0  # without any byte while publishing


class _State(enum.Enum):
    HANDSHAKE = "handshake"
    CONNECTING = "connecting"
    IDLE = "idle"
    REQUESTED = "requested"
    PUBLISHING = "publishing"
    CLOSED = "closed"


class RtmpConnection:
    """Feed `receive_data`, take `events`, send `data_to_send`, call `handle_timeout` at the deadline.

    `now` is any monotonic clock in seconds. No input raises: what cannot be understood ends in Closed.
    """

    def __init__(self, now: float, limits: RtmpLimits | None = None) -> None:
        self._limits = limits or RtmpLimits()
        self._state = _State.HANDSHAKE
        self._handshake = ServerHandshake()
        self._reader = ChunkReader()
        self._writer = ChunkWriter()
        self._events: list[Event] = []
        self._output = bytearray()
        self._deadline = now + self._limits.connect_s
        self._received = self._acknowledged = 0
        self._window = _WINDOW
        self._app = self._tc_url = ""
        self._caps_ex = CapsEx.NONE
        self._has_media = False
        self._quirks: set[str] = set()
        self._streams = MessageStreams()
        self._stream_id = 0  # of the command at hand

    @property
    def closed(self) -> bool:
        """Whether the connection is over: send what is left, then close."""
        return self._state is _State.CLOSED

    @property
    def is_probe(self) -> bool:
        """Whether the peer has not sent a byte, as load balancers do."""
        return self._state is _State.HANDSHAKE and self._handshake.empty

    @property
    def missing(self) -> int:
        """Nothing will happen before so many bytes have come; 0 when that is not known."""
        return self._reader.missing

    def receive_data(self, data: bytes, now: float) -> None:
        """Takes what came from the peer."""
        state = self._state
        if state is _State.CLOSED or not data:
            return
        self._received += len(data)
        try:
            if state is _State.HANDSHAKE:
                data = self._shake_hands(data)
            if data:
                self._read(data, now)
        except BadInputError as error:
            self._close(error.code, error.detail)
        if self._state is _State.PUBLISHING and self._has_media:
            self._deadline = now + self._limits.idle_s
        if self._received - self._acknowledged >= self._window // 2 and self._state is not _State.HANDSHAKE:
            self._acknowledged = self._received
            self._send(_CONTROL, wire.acknowledgement(self._received))

    def receive_eof(self) -> None:
        """The peer closed its side."""
        self._close("eof", "the publisher closed the connection")

    def events(self) -> list[Event]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> bytes:
        """Bytes for the peer."""
        if not self._output:
            return b""
        data = bytes(self._output)
        self._output.clear()
        return data

    @property
    def has_nothing_to_say(self) -> bool:
        """Whether there are no bytes for the peer, and the connection stays open."""
        return not self._output and self._state is not _State.CLOSED

    def next_deadline(self) -> float | None:
        """When to call `handle_timeout`; None when closed."""
        return None if self._state is _State.CLOSED else self._deadline

    def handle_timeout(self, now: float) -> None:
        """Closes the connection when the deadline has passed."""
        if self._state is _State.CLOSED or now < self._deadline:
            return
        reasons = {
            _State.HANDSHAKE: ("handshake_timeout", "no RTMP handshake in time"),
            _State.CONNECTING: ("connect_timeout", "no connect command in time"),
            _State.IDLE: ("publish_timeout", "no publish command in time"),
            _State.REQUESTED: ("publish_timeout", "the stream key could not be checked in time"),
        }
        silent = ("idle", "no media arrived for too long")
        self._close(*reasons.get(self._state, silent))

    def refresh(self, now: float) -> None:
        """The owner has not read for a while: the silence was not the peer's."""
        self._deadline = max(self._deadline, now + self._limits.idle_s)

    def accept_publish(self, now: float) -> None:
        """The key is good."""
        if self._state is not _State.REQUESTED:
            return
        self._state = _State.PUBLISHING
        self._has_media = False
        self._deadline = now + self._limits.publish_s
        self._send(_CONTROL, wire.user_control(wire.STREAM_BEGIN, FIRST.to_bytes(4, "big")))
        self._status("status", "NetStream.Publish.Start", "publishing")

    def refuse_publish(self, code: str, description: str, *, bad_name: bool = True) -> None:
        """The key is not good, or not now: says so in a status the encoder shows, then closes.

        `code` goes into the Closed event. Encoders show BadName as an invalid stream key.
        """
        if self._state not in (_State.REQUESTED, _State.PUBLISHING):
            return
        status = "NetStream.Publish.BadName" if bad_name else "NetStream.Publish.Rejected"
        self._status("error", status, description)
        self._close(code, description)

    def request_reconnect(self, tc_url: str, description: str) -> bool:
        """Asks the peer to connect again, to `tc_url` ("" the same), and to publish here until it has.

        False when it has not said that it can (Enhanced RTMP v2, "Reconnect Request").
        """
        if CapsEx.RECONNECT not in self._caps_ex or self._state is _State.CLOSED:
            return False
        self._send(_COMMAND, wire.reconnect_request(tc_url, description))
        return True

    def end(self, code: str, description: str) -> None:
        """This side ends the session: taken over, key revoked, or the node drains."""
        if self._state in (_State.REQUESTED, _State.PUBLISHING):
            self._status("status", "NetStream.Unpublish.Success", description)
        self._close(code, description)

    # --- reading

    def _shake_hands(self, data: bytes) -> bytes:
        """Returns the bytes that follow the handshake."""
        self._output += self._handshake.feed(data)
        if not self._handshake.done:
            return b""
        self._state = _State.CONNECTING
        return self._handshake.rest

    def _read(self, data: bytes, now: float) -> None:
        for message in self._reader.feed(data):
            self._message(message, now)
            if self._state is _State.CLOSED:
                break
        if self._reader.quirks:
            for kind in self._reader.quirks:
                self._quirk(kind)
            self._reader.quirks.clear()

    def _message(self, message: Message, now: float) -> None:
        kind = message.kind
        if kind == wire.VIDEO or kind == wire.AUDIO:
            self._media(message)
        elif kind in (wire.COMMAND_AMF0, wire.COMMAND_AMF3):
            self._command(message, now)
        elif kind in (wire.DATA_AMF0, wire.DATA_AMF3):
            self._data(message)
        elif kind == wire.AGGREGATE:
            for part in wire.split_aggregate(message):
                self._media(part)
        elif kind == wire.USER_CONTROL:
            self._user_control(message.payload)
        elif kind == wire.WINDOW_ACK_SIZE and len(message.payload) >= 4:
            self._window = max(int.from_bytes(message.payload[:4], "big"), 4096)
            self._window = min(self._window, _WINDOW)
        elif kind > wire.SET_PEER_BANDWIDTH or kind == 0:
            self._quirk("unknown_message_type")

    def _media(self, message: Message) -> None:
        if self._state not in _ACTIVE:
            self._quirk("media_without_publish")
            return
        if message.stream_id in self._streams.others:
            self._quirk("media_of_another_stream")
            return
        if not message.payload:
            self._quirk("empty_media_message")
            return
        self._has_media = True
        if message.kind == wire.VIDEO:
            self._events.append(VideoData(message.timestamp, message.payload))
        elif message.kind == wire.AUDIO:
            self._events.append(AudioData(message.timestamp, message.payload))

    def _user_control(self, payload: bytes) -> None:
        if len(payload) >= 6 and int.from_bytes(payload[:2], "big") == wire.PING_REQUEST:
            self._send(_CONTROL, wire.user_control(wire.PING_RESPONSE, payload[2:6]))

    def _data(self, message: Message) -> None:
        """onMetaData, with or without @setDataFrame and whatever else stands before it."""
        if message.stream_id in self._streams.others:
            self._quirk("media_of_another_stream")
            return
        payload = message.payload
        if message.kind == wire.DATA_AMF3 and payload[:1] == b"\0":
            payload = payload[1:]
        values, complete = amf.decode_lenient(payload)
        if not complete:
            self._quirk("metadata_not_readable")
        if "onMetaData" not in values:
            self._cue(values)
            return
        if values[0] not in ("@setDataFrame", "onMetaData"):
            self._quirk("metadata_with_prefix")
        for value in values:
            if isinstance(value, dict):
                self._events.append(Metadata(value))
                return

    def _cue(self, values: list[amf.AmfValue]) -> None:
        """onCuePoint and onTextData as encoders send them: a string, or an object with a text or name."""
        at = next((index for index, value in enumerate(values) if value in _CUE_NAMES), None)
        for value in values[at + 1 :] if at is not None else []:
            text = value.get("text") or value.get("name") if isinstance(value, dict) else value
            if isinstance(text, str) and text:
                self._events.append(Cue(text[:_CUE_AT_MOST]))
                return

    # --- commands

    def _command(self, message: Message, now: float) -> None:
        payload = message.payload
        if message.kind == wire.COMMAND_AMF3 and payload[:1] == b"\0":
            payload = payload[1:]
        values, complete = amf.decode_lenient(payload)
        if not complete:
            self._quirk("command_not_readable")
        if not values or not isinstance(values[0], str):
            return
        transaction = values[1] if len(values) > 1 and isinstance(values[1], float) else 0.0
        self._stream_id = message.stream_id
        handler = _COMMANDS.get(values[0], {}).get(self._state)
        if handler is not None:
            handler(self, transaction, values, now)
        elif transaction and values[0] not in ("_result", "_error"):
            self._send(_COMMAND, wire.command(0, ["_result", transaction, None, None]))

    def _connect(self, transaction: float, values: list[amf.AmfValue], now: float) -> None:
        arguments = values[2] if len(values) > 2 and isinstance(values[2], dict) else {}
        if transaction != 1:
            self._quirk("connect_transaction_id")
        lowered = {name.lower(): value for name, value in arguments.items()}
        self._app, self._tc_url = _text(lowered.get("app")), _text(lowered.get("tcurl"))
        if not self._tc_url:
            self._quirk("connect_without_url")
        self._state = _State.IDLE
        self._deadline = now + self._limits.publish_s
        peer = read_capabilities(lowered)
        self._caps_ex = peer.caps_ex
        encoder = _text(lowered.get("flashver"))[:120]
        self._events.append(Connected(self._app, self._tc_url, encoder, int(peer.caps_ex), peer.codecs))
        self._send(_CONTROL, wire.window_ack_size(_WINDOW))
        self._send(_CONTROL, wire.set_peer_bandwidth(_WINDOW))
        self._send(_CONTROL, wire.set_chunk_size(_CHUNK_SIZE))
        self._writer.chunk_size = _CHUNK_SIZE
        properties: dict[str, amf.AmfValue] = {"fmsVer": "FMS/3,5,3,824", "capabilities": 127.0, "mode": 1.0}
        information: dict[str, amf.AmfValue] = {
            "level": "status",
            "code": "NetConnection.Connect.Success",
            "description": "connected",
            "objectEncoding": 0.0,
        }
        if peer.enhanced:  # peers look for it in either of the two objects
            properties |= our_capabilities()
            information |= our_capabilities()
        self._send(_COMMAND, wire.command(0, ["_result", transaction, properties, information]))

    def _release_stream(self, transaction: float, _values: list[amf.AmfValue], _now: float) -> None:
        self._send(_COMMAND, wire.command(0, ["_result", transaction, None, None]))

    def _fc_publish(self, transaction: float, _values: list[amf.AmfValue], _now: float) -> None:
        information: dict[str, amf.AmfValue] = {"code": "NetStream.Publish.Start", "description": "ready"}
        self._send(_COMMAND, wire.command(0, ["onFCPublish", 0, None, information]))
        self._send(_COMMAND, wire.command(0, ["_result", transaction, None, None]))

    def _create_stream(self, transaction: float, _values: list[amf.AmfValue], _now: float) -> None:
        stream_id = self._streams.create(active=self._state in _ACTIVE)
        self._send(_COMMAND, wire.command(0, ["_result", transaction, None, stream_id]))

    def _publish(self, _transaction: float, values: list[amf.AmfValue], now: float) -> None:
        name = _text(values[3]) if len(values) > 3 else ""
        self._streams.publish(self._stream_id, name)
        kind = _text(values[4]) if len(values) > 4 else ""
        if not kind:
            self._quirk("publish_without_type")
        key, params = publish_target(self._app, self._tc_url, name)
        self._state = _State.REQUESTED
        self._deadline = now + self._limits.publish_s
        self._events.append(PublishRequested(key, params, kind))

    def _publish_again(self, _transaction: float, values: list[amf.AmfValue], _now: float) -> None:
        """One connection is one broadcast: another stream on it is refused, and the first goes on."""
        if self._streams.publish_again(self._stream_id, _text(values[3]) if len(values) > 3 else ""):
            self._quirk("publish_repeated")
            return
        self._quirk("publish_of_another_stream")
        said = "this connection publishes already: connect once more for another stream"
        self._send(_STATUS, wire.status(self._stream_id, "error", "NetStream.Publish.BadName", said))

    def _unpublish(self, transaction: float, values: list[amf.AmfValue], now: float) -> None:
        argument = values[3] if len(values) > 3 else None
        if self._streams.ends_another(_text(values[0]), self._stream_id, argument):
            if transaction:
                self._send(_COMMAND, wire.command(0, ["_result", transaction, None, None]))
            return
        self._state = _State.IDLE
        self._deadline = now + self._limits.publish_s
        self._events.append(Unpublished())
        information: dict[str, amf.AmfValue] = {"code": "NetStream.Unpublish.Success", "description": "ended"}
        self._send(_COMMAND, wire.command(0, ["onFCUnpublish", 0, None, information]))
        if transaction:
            self._send(_COMMAND, wire.command(0, ["_result", transaction, None, None]))

    def _play(self, _transaction: float, _values: list[amf.AmfValue], _now: float) -> None:
        self._status("error", "NetStream.Play.Failed", "playing over RTMP is not supported")
        self._close("play", "the client wanted to play")

    # --- writing

    def _send(self, chunk_stream_id: int, message: Message) -> None:
        self._output += self._writer.write(chunk_stream_id, message)

    def _status(self, level: str, code: str, description: str) -> None:
        self._send(_STATUS, wire.status(FIRST, level, code, description))

    def _quirk(self, kind: str) -> None:
        """Each kind once per connection."""
        if kind not in self._quirks and len(self._quirks) < _MAX_QUIRK_KINDS:
            self._quirks.add(kind)
            self._events.append(Quirk(kind))

    def _close(self, code: str, reason: str) -> None:
        if self._state is not _State.CLOSED:
            self._state = _State.CLOSED
            self._events.append(Closed(code, reason))


def _text(value: amf.AmfValue) -> str:
    return value[:2048] if isinstance(value, str) else ""


_Handler = Callable[[RtmpConnection, float, list[amf.AmfValue], float], None]
_READY: Final = (_State.IDLE, _State.REQUESTED, _State.PUBLISHING)
_ACTIVE: Final = (_State.REQUESTED, _State.PUBLISHING)
# ruff: noqa: SLF001 - the table belongs to the class above
_COMMANDS: dict[str, dict[_State, _Handler]] = {
    "connect": {_State.CONNECTING: RtmpConnection._connect},
    "releaseStream": dict.fromkeys(_READY, RtmpConnection._release_stream),
    "FCPublish": dict.fromkeys(_READY, RtmpConnection._fc_publish),
    "createStream": dict.fromkeys(_READY, RtmpConnection._create_stream),
    "publish": {
        _State.IDLE: RtmpConnection._publish,
        **dict.fromkeys(_ACTIVE, RtmpConnection._publish_again),
    },
    "FCUnpublish": dict.fromkeys(_ACTIVE, RtmpConnection._unpublish),
    "deleteStream": dict.fromkeys(_ACTIVE, RtmpConnection._unpublish),
    "closeStream": dict.fromkeys(_ACTIVE, RtmpConnection._unpublish),
    "play": dict.fromkeys(_READY, RtmpConnection._play),
    "play2": dict.fromkeys(_READY, RtmpConnection._play),
}
