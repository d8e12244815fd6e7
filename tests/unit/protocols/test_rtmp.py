"""The RTMP server core against encoders as they are."""

import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rtmp_bytes import HANDSHAKE, Encoder, pieces

from edge.protocols import amf
from edge.protocols.rtmp import (
    AudioData,
    Closed,
    Connected,
    Event,
    Metadata,
    PublishRequested,
    Quirk,
    RtmpConnection,
    Unpublished,
    VideoData,
)
from edge.protocols.rtmp.chunks import MAX_CHUNK_STREAMS, ChunkReader, ChunkWriter, Message
from edge.protocols.rtmp.errors import ChunkError
from edge.protocols.rtmp.handshake import ServerHandshake, find_digest
from edge.protocols.rtmp.names import publish_target


def publishing(name: str = "KEY") -> tuple[RtmpConnection, Encoder]:
    connection, encoder = RtmpConnection(0.0), Encoder()
    connection.receive_data(encoder.opening(name), 0.0)
    connection.events()
    connection.accept_publish(0.0)
    connection.data_to_send()
    return connection, encoder


def replies(connection: RtmpConnection) -> list[list[amf.AmfValue]]:
    data = connection.data_to_send()
    reader = ChunkReader()
    return [amf.decode(message.payload) for message in reader.feed(data) if message.kind == 20]


def only(events: list[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def test_a_whole_session() -> None:
    connection, encoder = RtmpConnection(0.0), Encoder()
    connection.receive_data(encoder.opening("KEY?bw=1"), 0.0)
    connected, request = connection.events()
    assert connected == Connected("live", "rtmp://host/live", "test/1")
    assert isinstance(request, PublishRequested)
    assert (request.key, request.params, request.kind) == ("KEY", {"bw": "1"}, "live")
    assert "KEY" not in repr(request)
    connection.accept_publish(0.0)
    connection.receive_data(encoder.metadata("@setDataFrame", "onMetaData", {"framerate": 30.0}), 1.0)
    connection.receive_data(encoder.video(40, b"v" * 5000) + encoder.audio(41, b"a"), 1.0)
    connection.receive_data(encoder.command("FCUnpublish", 6, None, "KEY"), 1.0)
    assert connection.events() == [
        Metadata({"framerate": 30.0}),
        VideoData(40, b"v" * 5000),
        AudioData(41, b"a"),
        Unpublished(),
    ]
    assert not connection.closed


def test_server_sets_its_chunk_size_before_the_long_answer() -> None:
    connection, encoder = RtmpConnection(0.0), Encoder()
    connection.receive_data(HANDSHAKE + encoder.connect(), 0.0)
    messages = ChunkReader().feed(connection.data_to_send()[1 + 2 * 1536 :])
    assert [message.kind for message in messages] == [5, 6, 1, 20]
    assert amf.decode(messages[3].payload)[:2] == ["_result", 1.0]


def test_refusal_is_shown_and_closes() -> None:
    connection, encoder = RtmpConnection(0.0), Encoder()
    connection.receive_data(encoder.opening(), 0.0)
    connection.events()
    connection.data_to_send()
    connection.refuse_publish("unknown_key", "This stream key is not known.")
    assert b"NetStream.Publish.BadName" in connection.data_to_send()
    assert connection.closed
    assert connection.events() == [Closed("unknown_key", "This stream key is not known.")]


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (b"GET / HTTP/1.1\r\n", "http"),
        (b"POST /open/1", "http"),
        (b"\x16\x03\x01\x02", "tls"),
        (b"\x06" + bytes(20), "rtmpe"),
        (b"\x00\x01", "not_rtmp"),
    ],
)
def test_other_protocols_are_recognised_at_once(first: bytes, code: str) -> None:
    connection = RtmpConnection(0.0)
    connection.receive_data(first, 0.0)
    assert [event.code for event in only(connection.events(), Closed)] == [code]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (HANDSHAKE[:700], "handshake_timeout"),
        (HANDSHAKE, "connect_timeout"),
        (HANDSHAKE + Encoder().connect(), "publish_timeout"),
        (Encoder().opening(), "publish_timeout"),
    ],
)
def test_deadlines(data: bytes, code: str) -> None:
    connection = RtmpConnection(0.0)
    connection.receive_data(data, 0.0)
    connection.events()
    deadline = connection.next_deadline()
    assert deadline is not None
    connection.handle_timeout(deadline - 0.1)
    assert not connection.closed
    connection.handle_timeout(deadline)
    assert [event.code for event in only(connection.events(), Closed)] == [code]
    assert connection.next_deadline() is None


def test_silent_publisher() -> None:
    connection, encoder = publishing()
    connection.receive_data(encoder.video(0, b"v"), 5.0)
    connection.handle_timeout(14.0)
    assert not connection.closed
    connection.refresh(14.0)
    connection.handle_timeout(20.0)
    assert not connection.closed
    connection.handle_timeout(24.0)
    assert connection.closed


def test_probe() -> None:
    assert RtmpConnection(0.0).is_probe


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=600), st.booleans())
def test_random_bytes(data: bytes, after_handshake: bool) -> None:
    connection = RtmpConnection(0.0)
    connection.receive_data((HANDSHAKE if after_handshake else b"") + data, 0.0)
    connection.events()
    connection.handle_timeout(100.0)
    assert connection.closed


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=600))
def test_random_bytes_while_publishing(data: bytes) -> None:
    connection, _ = publishing()
    connection.receive_data(data, 1.0)
    for event in connection.events():
        assert not isinstance(event, PublishRequested)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 9000), max_size=20))
def test_any_split_gives_the_same_events(cuts: list[int]) -> None:
    encoder = Encoder()
    data = encoder.opening() + encoder.chunk_size(1000) + encoder.video(0xFFFFFF + 5, b"v" * 2500)
    data += encoder.audio(20, b"") + encoder.audio(21, b"a")
    connection = RtmpConnection(0.0)
    events: list[Event] = []
    for piece in pieces(data, cuts):
        connection.receive_data(piece, 0.0)
        events += connection.events()
    assert only(events, VideoData) == [VideoData(0xFFFFFF + 5, b"v" * 2500)]
    assert only(events, AudioData) == [AudioData(21, b"a")]
    assert only(events, Quirk) == [Quirk("empty_media_message")]


def test_acknowledges_half_a_window() -> None:
    connection, encoder = publishing()
    connection.receive_data(encoder.chunk_size(1 << 20), 0.0)
    connection.receive_data(encoder.video(0, bytes(1_300_000)), 0.0)
    acks = [m for m in ChunkReader().feed(connection.data_to_send()) if m.kind == 3]
    assert len(acks) == 1
    assert int.from_bytes(acks[0].payload, "big") > 1_300_000


def test_ping_is_answered_and_unknown_messages_are_ignored() -> None:
    connection, encoder = publishing()
    connection.receive_data(encoder.writer.write(2, Message(4, 0, 0, b"\0\6\0\0\0\7")), 0.0)
    for kind in (255, 0):
        connection.receive_data(encoder.writer.write(2, Message(kind, 0, 0, b"x")), 0.0)
    connection.receive_data(encoder.writer.write(2, Message(4, 0, 0, b"\0\x1f\0\0\0\7")), 0.0)
    (answer,) = ChunkReader().feed(connection.data_to_send())
    assert answer.payload == b"\0\7\0\0\0\7"
    assert connection.events() == [Quirk("unknown_message_type")]


def test_unknown_calls_with_a_transaction_are_answered() -> None:
    connection, encoder = publishing()
    connection.receive_data(encoder.command("_checkbw", 7, None) + encoder.command("whatever", 0), 0.0)
    assert replies(connection) == [["_result", 7.0, None, None]]


def test_calls_before_publish_are_answered() -> None:
    connection, encoder = RtmpConnection(0.0), Encoder()
    connection.receive_data(HANDSHAKE + encoder.connect(), 0.0)
    connection.data_to_send()
    data = encoder.command("releaseStream", 2, None, "KEY") + encoder.command("FCPublish", 3, None, "KEY")
    connection.receive_data(data + encoder.command("createStream", 4, None), 0.0)
    encoded = connection.data_to_send()
    assert encoded.count(b"_result") == 3
    assert b"onFCPublish" in encoded


def test_publish_again_after_unpublish_and_twice() -> None:
    connection, encoder = publishing()
    connection.receive_data(encoder.publish(), 0.0)
    assert connection.events() == [Quirk("publish_repeated")]
    connection.receive_data(encoder.command("deleteStream", 0, None, 1) * 2 + encoder.publish("OTHER"), 0.0)
    unpublished, request = connection.events()
    assert unpublished == Unpublished()
    assert isinstance(request, PublishRequested)
    assert request.key == "OTHER"


def test_amf3_commands_and_missing_arguments() -> None:
    connection, encoder = RtmpConnection(0.0), Encoder()
    connect = b"\0" + amf.encode(["connect", 3, amf.EcmaArray(app="live/KEY", tcurl="'rtmp://h/live/KEY")])
    data = HANDSHAKE + encoder.writer.write(3, Message(17, 0, 0, connect))
    data += encoder.command("publish", 0, None)
    connection.receive_data(data, 0.0)
    events = connection.events()
    assert [event.key for event in only(events, PublishRequested)] == ["KEY"]
    assert only(events, Quirk) == [Quirk("connect_transaction_id"), Quirk("publish_without_type")]


def test_metadata_with_something_before_it() -> None:
    connection, encoder = publishing()
    connection.receive_data(encoder.metadata(1.0, "@setDataFrame", "onMetaData", {"a": 1.0}), 0.0)
    connection.receive_data(encoder.metadata("onMetaData", {"b": 1.0}), 0.0)
    connection.receive_data(encoder.writer.write(4, Message(18, 1, 0, b"\1\2\3\4")), 0.0)
    events = connection.events()
    assert only(events, Metadata) == [Metadata({"a": 1.0}), Metadata({"b": 1.0})]
    assert not connection.closed


def test_play_is_refused() -> None:
    connection, encoder = RtmpConnection(0.0), Encoder()
    connection.receive_data(HANDSHAKE + encoder.connect() + encoder.command("play", 4, None, "x"), 0.0)
    assert connection.closed


def test_aggregate() -> None:
    connection, encoder = publishing()
    tag = bytes([9]) + (3).to_bytes(3, "big") + (100).to_bytes(3, "big") + bytes(4) + b"abc" + bytes(4)
    later = bytes([8]) + (1).to_bytes(3, "big") + (120).to_bytes(3, "big") + bytes(4) + b"z" + bytes(4)
    connection.receive_data(encoder.writer.write(4, Message(22, 1, 1000, tag + later + b"\x09\0")), 0.0)
    assert connection.events() == [VideoData(1000, b"abc"), AudioData(1020, b"z")]


# --- chunk layer


@given(st.lists(st.tuples(st.integers(2, 63), st.integers(0, (1 << 32) - 1), st.binary(max_size=600)), max_size=6))
def test_chunks_round_trip(items: list[tuple[int, int, bytes]]) -> None:
    writer = ChunkWriter()
    data = b"".join(writer.write(csid, Message(9, 1, stamp, body)) for csid, stamp, body in items)
    read = ChunkReader().feed(data)
    assert [(message.timestamp, message.payload) for message in read] == [item[1:] for item in items]


def _outcome(pieces_of_it: list[bytes]) -> tuple[list[Message], list[str], int] | str:
    reader, messages = ChunkReader(), list[Message]()
    try:
        for piece in pieces_of_it:
            messages += reader.feed(piece)
    except ChunkError as error:
        return error.detail
    return messages, reader.quirks, reader.missing


_CHUNKS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from([0, 1, 2, 4, 6]),
        st.sampled_from([0, 10, 0xFFFFFE, 0xFFFFFF]),
        st.sampled_from([0, 1, 127, 128, 129, 257, 700]),
        st.sampled_from([0, 1, 2, 8, 9, 20]),
        st.sampled_from([0, 1, 128, 128, 128, 200]),
    ),
    max_size=12,
)


@given(_CHUNKS, st.integers(1, 1000))
def test_what_is_all_there_is_read_as_what_comes_byte_by_byte(
    chunks: list[tuple[int, int, int, int, int, int]], cut: int
) -> None:
    data = b""
    for form, csid, field, length, kind, body in chunks:
        header = field.to_bytes(3, "big") + length.to_bytes(3, "big") + bytes([kind]) + b"\1\0\0\0"
        data += bytes([form << 6 | csid]) + header[: (11, 7, 3, 0)[form]] + b"\0\0\0\x20" * (field == 0xFFFFFF)
        data += b"\0\0\0\x40" + bytes(body)
    data += b"\x05\0\0\1\0\0\1\x09\1\0\0\0a"  # a message without a body is told with the next byte
    slow = _outcome([data[at : at + 1] for at in range(len(data))])
    assert _outcome([data]) == slow
    assert _outcome([data[at : at + cut] for at in range(0, len(data), cut)]) == slow


@pytest.mark.parametrize("basic", [b"\x00\x05", b"\x01\x05\x01"])
def test_long_chunk_stream_ids(basic: bytes) -> None:
    (message,) = ChunkReader().feed(basic + b"\0\0\1\0\0\2\x09\1\0\0\0ab")
    assert message == Message(9, 1, 1, b"ab")


def test_deltas_and_repeated_headers() -> None:
    first = b"\x04\0\0\x64\0\0\1\x09\1\0\0\0a"
    data = first + b"\x44\0\0\x0a\0\0\1\x09b" + b"\x84\0\0\x14c" + b"\xc4d"
    read = ChunkReader().feed(data)
    assert [message.timestamp for message in read] == [100, 110, 130, 150]


def test_format_3_after_a_full_header_repeats_the_stamp() -> None:
    read = ChunkReader().feed(b"\x04\0\0\x64\0\0\1\x09\1\0\0\0a" + b"\xc4b")
    assert [message.timestamp for message in read] == [100, 100]


def test_fresh_stream_with_a_delta_header() -> None:
    reader = ChunkReader()
    (message,) = reader.feed(b"\x42\0\0\0\0\0\6\4\0\6\0\0\0\1")
    assert message.kind == 4
    assert reader.quirks == ["chunk_stream_begins_with_delta"]


@pytest.mark.parametrize("repeats", [True, False])
def test_extended_timestamp_with_and_without_repetition(repeats: bool) -> None:
    stamp = 0x01000000
    extended = stamp.to_bytes(4, "big")
    body = bytes(range(200))
    data = b"\x04\xff\xff\xff\0\0\xc8\x09\1\0\0\0" + extended + body[:128] + b"\xc4"
    data += (extended if repeats else b"") + body[128:]
    (message,) = ChunkReader().feed(data)
    assert message == Message(9, 1, stamp, body)


def test_interleaved_and_aborted() -> None:
    reader, big, small = ChunkReader(), ChunkWriter(), ChunkWriter()
    video = big.write(6, Message(9, 1, 0, b"v" * 200))
    audio = small.write(4, Message(8, 1, 0, b"a"))
    first = 12 + 128
    read = reader.feed(video[:first] + audio + video[first:])
    assert [message.kind for message in read] == [8, 9]
    abort = small.write(2, Message(2, 0, 0, (6).to_bytes(4, "big")))
    read = reader.feed(video[:first] + abort + video)
    assert [message.kind for message in read] == [2, 9]
    assert reader.quirks == []
    read = reader.feed(video[:first] + video)
    assert [len(message.payload) for message in read] == [200]
    assert reader.quirks == ["message_cut_by_new_header"]


def test_chunk_size_changes_inside_a_message() -> None:
    small = ChunkWriter()
    video = small.write(6, Message(9, 1, 0, b"v" * 300))
    change = small.write(2, Message(1, 0, 0, (4096).to_bytes(4, "big")))
    data = video[: 12 + 128] + change + b"\xc6" + b"v" * 172
    assert [message.kind for message in ChunkReader().feed(data)] == [1, 9]


def test_what_is_missing_of_a_message() -> None:
    encoder, reader = Encoder(), ChunkReader()
    reader.feed(encoder.chunk_size(4096))
    data = encoder.video(0, bytes(10_000))
    assert reader.feed(data[:20]) == []
    assert reader.missing == 10_000 - 8
    assert reader.feed(data[20:8_000]) == []
    assert reader.missing == 10_000 - (8_000 - 12 - 1)
    assert len(reader.feed(data[8_000:])) == 1
    assert reader.missing == 0


@pytest.mark.parametrize("size", [0, 0x80000000])
def test_bad_chunk_size(size: int) -> None:
    with pytest.raises(ChunkError):
        ChunkReader().feed(ChunkWriter().write(2, Message(1, 0, 0, size.to_bytes(4, "big"))))


def test_huge_chunk_size_is_accepted() -> None:
    reader, writer = ChunkReader(), ChunkWriter()
    reader.feed(writer.write(2, Message(1, 0, 0, (134217728).to_bytes(4, "big"))))
    writer.chunk_size = 1 << 20
    assert len(reader.feed(writer.write(6, Message(9, 1, 0, bytes(100_000))))) == 1


def test_limits() -> None:
    with pytest.raises(ChunkError, match="10 MiB"):
        ChunkReader().feed(b"\x04\0\0\0\xff\xff\xff\x09\1\0\0\0")
    reader = ChunkReader()
    with pytest.raises(ChunkError, match="too many chunk streams"):
        for number in range(MAX_CHUNK_STREAMS + 1):
            reader.feed(bytes([0, number]) + b"\0\0\1\0\0\1\x09\1\0\0\0a")


# --- handshake and names


def test_digest_handshake() -> None:
    c1 = bytearray(bytes(4) + b"\x80\0\7\2" + bytes(range(256)) * 6)[:1536]
    key = b"Genuine Adobe Flash Player 001"
    place = sum(c1[8:12]) % 728 + 12
    c1[place : place + 32] = hmac.digest(key, bytes(c1[:place] + c1[place + 32 :]), "sha256")
    handshake = ServerHandshake()
    reply = handshake.feed(b"\3" + bytes(c1))
    assert handshake.with_digest
    assert len(reply) == 1 + 2 * 1536
    assert find_digest(reply[1:1537], b"Genuine Adobe Flash Media Server 001") is not None
    handshake.feed(bytes(1536) + b"rest")
    assert handshake.done
    assert handshake.rest == b"rest"


@pytest.mark.parametrize(
    ("app", "url", "name", "key"),
    [
        ("live", "rtmp://h/live", "KEY", "KEY"),
        ("live", "rtmp://h/live", "KEY?a=b&c", "KEY"),
        ("live", "rtmp://h/live", "?key=KEY", "KEY"),
        ("live", "rtmp://h/live", "name?key=KEY", "name"),
        ("live/KEY", "rtmp://h/live/KEY", "", "KEY"),
        ("live/KEY/", "rtmp://h/live/KEY", "", "KEY"),
        ("live", "rtmp://h/live/KEY", "", "KEY"),
        ("live/_definst_", "rtmp://h/live/_definst_", "KEY", "KEY"),
        ("live?key=KEY", "", "", "KEY"),
        ("", "'rtmp://h/live/KEY", "", "KEY"),
        ("KEY", "", "", "KEY"),
        ("live", "rtmp://h/live", "/K%45Y ", "KEY"),
        ("live...vhost...x", "", "KEY", "KEY"),
        ("live", "rtmp://h/live", "", ""),
        ("live", "rtmp://[bad", "", ""),
    ],
)
def test_where_the_key_is(app: str, url: str, name: str, key: str) -> None:
    assert publish_target(app, url, name)[0] == key


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_any_names(app: str, url: str, name: str) -> None:
    publish_target(app, url, name)
