"""The WebSocket core: conversations in any split, bytes of any kind, limits."""

import base64
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.protocols.http.headers import HeaderMemo
from edge.protocols.http.request import parse_head
from edge.protocols.websocket.connection import (
    MAX_MESSAGE,
    Binary,
    Closed,
    Failed,
    Ping,
    Pong,
    ServerConnection,
    State,
    Text,
)
from edge.protocols.websocket.deflate import Inflater, compress
from edge.protocols.websocket.frames import Opcode, build_frame, close_frame, text_frame
from edge.protocols.websocket.handshake import HandshakeError, accept, wants_websocket

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455, 1.3
FIELDS = {
    "Host": "h",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def request(method="GET", minor=1, **changes):
    fields = FIELDS | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{method} /x HTTP/1.{minor}", *(f"{name}: {value}" for name, value in fields.items() if value)]
    return parse_head(("\r\n".join(lines) + "\r\n\r\n").encode(), HeaderMemo())


def test_the_handshake_of_the_rfc():
    answer, deflate = accept(request())
    assert deflate is None
    assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")
    assert b"Content-Length" not in answer
    assert wants_websocket(request())


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"method": "POST"}, 405),
        ({"Upgrade": ""}, 426),
        ({"Upgrade": "h2c"}, 426),
        ({"Connection": "keep-alive"}, 426),
        ({"Sec_WebSocket_Version": "8"}, 426),
        ({"Sec_WebSocket_Version": ""}, 426),
        ({"Sec_WebSocket_Key": ""}, 400),
        ({"Sec_WebSocket_Key": "short"}, 400),
        ({"Sec_WebSocket_Key": base64.b64encode(b"x" * 15).decode()}, 400),
        ({"Content_Length": "5"}, 400),
        ({"minor": 0}, 400),
    ],
)
def test_refused_handshakes(changes, status):
    with pytest.raises(HandshakeError) as refused:
        accept(request(**changes))
    assert refused.value.status == status
    if "Sec_WebSocket_Version" in changes:
        assert refused.value.fields == (("Sec-WebSocket-Version", "13"),)


def frame(opcode, payload=b"", *, fin=True, mask=b"\x01\x02\x03\x04", reserved=0):
    first = (0x80 if fin else 0) | reserved | opcode
    length = len(payload)
    if length < 126:
        head = bytes((first, 0x80 | length))
    elif length < 65536:
        head = struct.pack("!BBH", first, 0xFE, length)
    else:
        head = struct.pack("!BBQ", first, 0xFF, length)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def feed(data, sizes=(), limit=MAX_MESSAGE, deflate=False):
    connection = ServerConnection(limit, deflate=deflate)
    events, at = [], 0
    for size in sizes:
        events += connection.receive_data(data[at : at + size])
        assert len(connection._rest) < 14 + 125
        at += size
    events += connection.receive_data(data[at:])
    assert len(connection._rest) < 14 + 125
    return connection, events


def test_messages():
    data = frame(1, "grüße".encode()) + frame(2, b"\x00\xff") + frame(1) + frame(10, b"p")
    connection, events = feed(data)
    assert events == [Text("grüße"), Binary(b"\x00\xff"), Text(""), Pong(b"p")]
    assert connection.data_to_send() == b""
    assert connection.frames == 4


def test_fragments_with_a_ping_between():
    text = "ü€😀".encode()
    data = frame(1, text[:1], fin=False) + frame(9, b"now") + frame(0, text[1:4], fin=False) + frame(0, text[4:])
    connection, events = feed(data)
    assert events == [Ping(b"now"), Text("ü€😀")]
    assert events[0].pong == build_frame(Opcode.PONG, b"now")
    assert connection.data_to_send() == b""


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x01x", 1002),  # no mask
        (frame(1, b"x", reserved=0x40), 1002),
        (frame(3), 1002),
        (frame(11), 1002),
        (frame(9, b"x", fin=False), 1002),
        (b"\x89\xfe", 1002),  # long ping
        (frame(0, b"x"), 1002),
        (frame(1, b"x", fin=False) + frame(1, b"y"), 1002),
        (b"\x81\xfe\x00\x05", 1002),  # not the shortest length
        (b"\x81\xff" + bytes(8), 1002),
        (b"\x81\xff\x80" + bytes(7), 1002),
        (frame(8, b"x"), 1002),
        (frame(8, struct.pack("!H", 1005)), 1002),
        (frame(8, struct.pack("!H", 1000) + b"\xff"), 1007),
        (frame(1, b"\xff"), 1007),
        (frame(1, b"a\xed\xa0\x80"), 1007),  # a surrogate
        (frame(1, b"\xc3", fin=False) + frame(0, b"x"), 1007),
        (frame(1, b"\xc3"), 1007),
    ],
)
def test_failures(data, code):
    connection, events = feed(data + frame(1, b"ignored"))
    assert isinstance(events[-1], Failed)
    assert events[-1].code == code
    assert connection.data_to_send() == close_frame(code, events[-1].reason)
    assert connection.receive_data(frame(1, b"x")) == []


def test_too_big_is_refused_at_the_header():
    head = struct.pack("!BBH", 0x81, 0xFE, 200) + b"mask"
    _, events = feed(head, limit=100)
    assert events == [Failed(1009, "a message has at most 100 bytes")]
    _, events = feed(frame(1, b"x" * 60, fin=False) + frame(0, b"x" * 41), limit=100)
    assert events[-1].code == 1009
    _, events = feed(frame(1, b"x" * 60, fin=False) + frame(0, b"x" * 40), limit=100)
    assert events == [Text("x" * 100)]


def test_closing():
    connection, events = feed(frame(8, struct.pack("!H", 4000) + b"bye") + frame(1, b"late"))
    assert events == [Closed(4000, "bye")]
    assert connection.data_to_send() == close_frame(4000)
    connection, events = feed(frame(8))
    assert events == [Closed(1005, "")]
    assert connection.data_to_send() == close_frame(1000)
    connection = ServerConnection()
    connection.send_close(4009, "elsewhere")
    connection.send_close(4009, "twice")
    assert connection.state is State.CLOSING
    assert connection.receive_data(frame(1, b"dropped") + frame(8, struct.pack("!H", 4009))) == [Closed(4009, "")]
    assert connection.data_to_send() == close_frame(4009, "elsewhere")


def test_frames_of_the_server():
    assert text_frame(b"x" * 125)[:2] == b"\x81\x7d"
    assert text_frame(b"x" * 126)[:4] == b"\x81\x7e\x00\x7e"
    assert text_frame(b"x" * 65536)[:10] == b"\x81\x7f" + (65536).to_bytes(8, "big")
    assert len(close_frame(1000, "ü" * 200)) <= 127
    close_frame(1000, "ü" * 200)[4:].decode()


@pytest.mark.parametrize("data", [b"a\xff", b"\xe2\x82x", b"\xf4\x90"])
@pytest.mark.parametrize("fin", [True, False])
def test_text_fails_at_the_first_wrong_byte(data, fin):
    connection = ServerConnection()
    sent = frame(1, data + bytes(100), fin=fin)[: 6 + len(data)]
    assert connection.receive_data(sent[:-1]) == []
    assert connection.receive_data(sent[-1:]) == [Failed(1007, "text is not UTF-8")]


MASK = st.binary(min_size=4, max_size=4)


@st.composite
def message(draw):
    """Frames of one message, cut anywhere, with control frames between, and the events it makes."""
    data = draw(st.one_of(st.text("aü€😀", max_size=60).map(str.encode), st.binary(max_size=200)))
    try:
        data.decode()
        text = draw(st.booleans())
    except UnicodeDecodeError:
        text = False
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    wire, events = b"", []
    for index, piece in enumerate(pieces):
        opcode = (1 if text else 2) if index == 0 else 0
        wire += frame(opcode, piece, fin=index == len(pieces) - 1, mask=draw(MASK))
        if index < len(pieces) - 1:
            kind = draw(st.sampled_from([0, 9, 10]))
            if kind:
                wire += frame(kind, b"c", mask=draw(MASK))
            if kind == 10:
                events.append(Pong(b"c"))
            elif kind:
                events.append(Ping(b"c"))
    return wire, [*events, Text(data.decode()) if text else Binary(data)]


SIZES = st.lists(st.integers(0, 40), max_size=30)


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        ("", None),
        ("x-webkit-deflate-frame", None),
        ("permessage-deflate", ""),
        ("permessage-deflate; client_max_window_bits", ""),
        ("x; y=1, Permessage-Deflate;client_max_window_bits=10 ; server_no_context_takeover", ""),
        ('permessage-deflate; server_max_window_bits="10"', "; server_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits=8", None),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", ""),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=09", None),
        ("permessage-deflate; client_max_window_bits=", None),
        ("permessage-deflate; client_no_context_takeover=1", None),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
        ("permessage-deflate; window=9", None),
        ("permessage-deflate;", None),
    ],
)
def test_negotiation(offers, answer):
    agreed = accept(request(Sec_WebSocket_Extensions=offers))
    if answer is None:
        assert agreed.deflate is None
        assert b"Extensions" not in agreed.answer
        return
    expected = f"permessage-deflate; server_no_context_takeover; client_no_context_takeover{answer}"
    assert f"Sec-WebSocket-Extensions: {expected}\r\n".encode() in agreed.answer
    assert agreed.deflate.window_bits == int(answer.partition("=")[2] or 15)


def packed(opcode, data, cuts=(), bits=15):
    """Frames of a compressed message."""
    payload = compress(data, bits)
    cuts = sorted(min(cut, len(payload)) for cut in cuts)
    pieces = [payload[start:end] for start, end in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    last = len(pieces) - 1
    return b"".join(
        frame(0 if n else opcode, piece, fin=n == last, reserved=0 if n else 0x40) for n, piece in enumerate(pieces)
    )


def test_the_compressed_messages_of_the_rfc():
    hello = bytes.fromhex("f248cdc9c90700")  # RFC 7692, 7.2.3
    for payload in (
        hello,
        bytes.fromhex("000500faff48656c6c6f00"),
        bytes.fromhex("f348cdc9c9070000"),
        bytes.fromhex("f248050000 00ffffcac9c90700".replace(" ", "")),
    ):
        assert feed(frame(1, payload, reserved=0x40), deflate=True)[1] == [Text("Hello")]
    data = frame(1, hello[:3], fin=False, reserved=0x40) + frame(9, b"p") + frame(0, hello[3:])
    assert feed(data, deflate=True)[1] == [Ping(b"p"), Text("Hello")]
    assert feed(frame(1, b"plain") + frame(1, b"\0", reserved=0x40), deflate=True)[1] == [Text("plain"), Text("")]
    assert compress(b"") == b"\0"
    assert build_frame(Opcode.TEXT, hello, compressed=True)[:2] == b"\xc1\x07"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(9, b"x", reserved=0x40), 1002),
        (frame(1, b"x", reserved=0x20), 1002),
        (frame(1, b"", fin=False, reserved=0x40) + frame(0, b"x", reserved=0x40), 1002),
        (frame(1, b"\xff\xff", reserved=0x40), 1007),
        (packed(1, b"abc\xff"), 1007),
        (frame(1, b"\x03\x00" * 20, reserved=0x40), 1007),  # ends again and again
        (packed(2, bytes(101)), 1009),
        (packed(2, bytes(1 << 20)), 1009),  # a bomb
        (packed(2, bytes(200), [1]), 1009),
        (frame(2, bytes(200), reserved=0x40), 1009),
    ],
)
def test_failures_of_compressed_messages(data, code):
    assert feed(data + frame(1, b"ignored"), limit=100, deflate=True)[1][-1].code == code
    assert feed(data + frame(1, b"ignored"), [1] * 400, limit=100, deflate=True)[1][-1].code == code


def test_a_bomb_makes_no_more_than_a_message():
    inflater = Inflater()
    found = inflater.inflate(compress(bytes(1 << 24)), 1000)
    assert len(found) == 1001


@given(
    st.one_of(st.binary(max_size=300), st.integers(0, 300).map(bytes)),
    st.lists(st.integers(0, 300), max_size=4),
    st.integers(9, 15),
    st.lists(st.integers(0, 40), max_size=30),
)
def test_compressed_messages_in_any_split(data, cuts, bits, sizes):
    assert feed(packed(2, data, cuts, bits), sizes, limit=300, deflate=True)[1] == [Binary(data)]


@given(st.lists(message(), max_size=3), SIZES)
def test_any_split_gives_the_same_events(messages, sizes):
    wire = b"".join(one[0] for one in messages) + frame(8, struct.pack("!H", 1000))
    expected = [event for one in messages for event in one[1]] + [Closed(1000, "")]
    assert feed(wire, sizes)[1] == expected


@given(st.binary(max_size=300), SIZES, st.booleans())
def test_any_bytes_end_in_typed_failures(data, sizes, deflate):
    whole, events = feed(data, limit=64, deflate=deflate)
    parts, same = feed(data, sizes, limit=64, deflate=deflate)
    assert events == same
    assert whole.state is parts.state
    assert all(isinstance(event, Text | Binary | Ping | Pong | Closed | Failed) for event in events)


@given(st.binary(max_size=30), st.binary(max_size=30), SIZES)
def test_noise_behind_a_fragment(noise, begun, sizes):
    data = frame(2, begun, fin=False) + noise
    assert feed(data, limit=64)[1] == feed(data, sizes, limit=64)[1]


@given(st.binary(max_size=60), SIZES)
@example(b":\x00\x00\x00", [8])  # text that is no UTF-8 in a stream that does not end well
def test_noise_as_a_compressed_message(noise, sizes):
    data = frame(1, noise, reserved=0x40)
    _, events = feed(data, limit=64, deflate=True)
    assert events == feed(data, sizes, limit=64, deflate=True)[1]
    assert isinstance(events[0], Text | Failed)
