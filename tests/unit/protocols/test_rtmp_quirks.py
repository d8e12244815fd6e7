"""What encoders send against the specification, as bytes; each test names the quirk."""

import hmac

import pytest
from rtmp_bytes import HANDSHAKE, Encoder

from edge.protocols import amf
from edge.protocols.rtmp import (
    CapsEx,
    Closed,
    Connected,
    Cue,
    Metadata,
    PublishRequested,
    Quirk,
    RtmpConnection,
    Unpublished,
    VideoData,
)
from edge.protocols.rtmp import messages as wire
from edge.protocols.rtmp.capabilities import AUDIO_CODECS, VIDEO_CODECS
from edge.protocols.rtmp.chunks import ChunkReader, ChunkWriter, Message

PLAYER = b"Genuine Adobe Flash Player 001"
SERVER = b"Genuine Adobe Flash Media Server 001"


def publishing() -> tuple[RtmpConnection, Encoder]:
    connection, encoder = RtmpConnection(0.0), Encoder()
    connection.receive_data(encoder.opening(), 0.0)
    connection.accept_publish(0.0)
    connection.events()
    connection.data_to_send()
    return connection, encoder


def connecting(**arguments: amf.AmfValue) -> tuple[RtmpConnection, Connected, list[amf.AmfValue]]:
    """A connection after connect with these arguments, and what was answered."""
    connection, encoder = RtmpConnection(0.0), Encoder()
    values = {"app": "live", "tcUrl": "rtmp://host/live", "flashVer": "test/1", **arguments}
    connection.receive_data(HANDSHAKE + encoder.command("connect", 1, values), 0.0)
    (connected,) = [event for event in connection.events() if isinstance(event, Connected)]
    messages = ChunkReader().feed(connection.data_to_send()[1 + 2 * 1536 :])
    return connection, connected, amf.decode(messages[-1].payload)


# --- capabilities


@pytest.mark.parametrize(
    ("arguments", "codecs"),
    [
        ({"fourCcList": ["Avc1", "HVC1", "av01", "OPUS"]}, ("avc1", "hvc1", "av01", "Opus")),
        ({"fourCcList": ["*"]}, ("*",)),
        ({"videoFourCcInfoMap": {"vp09": 4.0}, "audioFourCcInfoMap": {"flac": 4.0}}, ("vp09", "fLaC")),
        ({"videoFourCcInfoMap": {"*": 4.0}}, ("*",)),
        ({"fourCcList": [1.0, None, "xyz9"]}, ("xyz9",)),
        ({"capsEx": 1.0}, ()),
    ],
)
def test_capabilities_are_answered_with_what_is_taken(
    arguments: dict[str, amf.AmfValue], codecs: tuple[str, ...]
) -> None:
    _, connected, answer = connecting(**arguments)
    assert connected.codecs == codecs
    for found in answer[2:4]:
        assert isinstance(found, dict)
        assert found["fourCcList"] == [*VIDEO_CODECS, *AUDIO_CODECS]
        assert found["capsEx"] == 15.0
        assert isinstance(found["videoFourCcInfoMap"], dict)
        assert set(found["videoFourCcInfoMap"]) == set(VIDEO_CODECS)
        assert isinstance(found["audioFourCcInfoMap"], dict)
        assert set(found["audioFourCcInfoMap"]) == set(AUDIO_CODECS)


def test_old_encoders_get_the_old_answer() -> None:
    _, connected, answer = connecting()
    assert (connected.caps_ex, connected.codecs) == (0, ())
    assert "capsEx" not in str(answer)


def test_reconnect_is_requested_only_of_those_who_can() -> None:
    connection, connected, _ = connecting(capsEx=3.0)
    assert CapsEx(connected.caps_ex) == CapsEx.RECONNECT | CapsEx.MULTITRACK
    assert connection.request_reconnect("rtmp://other/live", "this node is updated")
    reader = ChunkReader()
    reader.feed(ChunkWriter().write(2, wire.set_chunk_size(4096)))
    (message,) = reader.feed(connection.data_to_send())
    values = amf.decode(message.payload)
    assert message.stream_id == 0
    assert values[:3] == ["onStatus", 0.0, None]
    assert isinstance(values[3], dict)
    assert values[3]["code"] == "NetConnection.Connect.ReconnectRequest"
    assert values[3]["tcUrl"] == "rtmp://other/live"
    assert not connection.closed
    for caps in (2.0, None, "1"):
        other, _, _ = connecting(capsEx=caps)
        assert not other.request_reconnect("", "x")
        assert other.data_to_send() == b""
    connection.end("drain", "going")
    assert not connection.request_reconnect("", "x")


# --- handshake


@pytest.mark.parametrize("scheme", [8, 772])
def test_digest_handshake_in_both_schemes(scheme: int) -> None:
    c1 = bytearray(bytes(4) + b"\x80\0\7\2" + bytes(index * 7 % 256 for index in range(1528)))
    place = sum(c1[scheme : scheme + 4]) % 728 + scheme + 4
    c1[place : place + 32] = hmac.digest(PLAYER, bytes(c1[:place] + c1[place + 32 :]), "sha256")
    connection = RtmpConnection(0.0)
    connection.receive_data(b"\3" + bytes(c1), 0.0)
    reply = connection.data_to_send()
    s1 = reply[1:1537]
    place = sum(s1[scheme : scheme + 4]) % 728 + scheme + 4
    assert s1[place : place + 32] == hmac.digest(SERVER, s1[:place] + s1[place + 32 :], "sha256")


def test_version_bytes_without_a_digest_fall_back_to_plain() -> None:
    c1 = bytes(4) + b"\x80\0\7\2" + bytes(1528)
    connection = RtmpConnection(0.0)
    connection.receive_data(b"\3" + c1, 0.0)
    assert connection.data_to_send()[1 + 1536 :] == c1


def test_wrong_c2_is_not_verified() -> None:
    connection, encoder = RtmpConnection(0.0), Encoder()
    connection.receive_data(b"\3" + bytes(1536) + b"\xaa" * 1536 + encoder.connect(), 0.0)
    assert any(isinstance(event, Connected) for event in connection.events())


def test_handshake_and_connect_byte_by_byte() -> None:
    connection, encoder = RtmpConnection(0.0), Encoder()
    for byte in encoder.opening():
        connection.receive_data(bytes([byte]), 0.0)
    assert [type(event) for event in connection.events()] == [Connected, PublishRequested]


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (b"\x06" + bytes(1536), "rtmpe"),
        (b"\x16\x03\x01\x02\x00\x01", "tls"),
        (b"GET /health HTTP/1.1\r\n\r\n", "http"),
        (b"HEAD / HTTP/1.0\r\n", "http"),
        (b"POST /fcs/ident2 HTTP/1.1\r\n", "http"),
        (b"OPTIONS / RTSP/1.0\r\n", "http"),
    ],
)
def test_another_protocol_on_the_port_is_named(first: bytes, code: str) -> None:
    for size in (1, len(first)):
        connection = RtmpConnection(0.0)
        for at in range(0, len(first), size):
            connection.receive_data(first[at : at + size], 0.0)
        (closed,) = connection.events()
        assert isinstance(closed, Closed)
        assert closed.code == code
        assert connection.data_to_send() == b""


# --- chunk layer


@pytest.mark.parametrize("form", [2, 3])
def test_chunk_stream_that_begins_without_a_length(form: int) -> None:
    connection, encoder = publishing()
    odd = bytes([form << 6 | 33]) + (b"\0\0\1" if form == 2 else b"")
    connection.receive_data(odd + encoder.video(40, b"v"), 0.0)
    events = connection.events()
    assert Quirk("chunk_stream_without_length") in events
    assert VideoData(40, b"v") in events


@pytest.mark.parametrize(
    "basic", [bytes([0x06]), bytes([0, 0]), bytes([0, 255]), bytes([1, 0, 0]), bytes([1, 255, 255])]
)
def test_chunk_stream_ids_of_one_two_and_three_bytes(basic: bytes) -> None:
    body = bytes(range(200))
    data = basic + b"\0\0\5\0\0\xc8\x09\1\0\0\0" + body[:128] + bytes([basic[0] | 0xC0]) + basic[1:] + body[128:]
    assert ChunkReader().feed(data) == [Message(9, 1, 5, body)]


def test_extended_timestamp_in_a_delta() -> None:
    first = b"\x04\0\0\5\0\0\1\x09\1\0\0\0a"
    data = first + b"\x44\xff\xff\xff\0\0\1\x09\1\0\0\0b"
    assert [message.timestamp for message in ChunkReader().feed(data)] == [5, 5 + (1 << 24)]


def test_extended_delta_repeated_by_format_3_of_the_next_message() -> None:
    delta = (1 << 24).to_bytes(4, "big")
    data = b"\x04\0\0\0\0\0\1\x09\1\0\0\0a" + b"\x84\xff\xff\xff" + delta + b"b" + b"\xc4" + delta + b"c"
    assert [message.timestamp for message in ChunkReader().feed(data)] == [0, 1 << 24, 2 << 24]


@pytest.mark.parametrize("repeats", [True, False])
def test_extended_timestamp_when_the_body_looks_like_it(repeats: bool) -> None:
    """4 h 39 min after the start, body of three chunks, cut anywhere."""
    stamp = (0xFFFFFF + 40).to_bytes(4, "big")
    body = bytes(index % 251 for index in range(300))
    extra = stamp if repeats else b""
    data = b"\x06\xff\xff\xff\0\1\x2c\x09\1\0\0\0" + stamp + body[:128]
    data += b"\xc6" + extra + body[128:256] + b"\xc6" + extra + body[256:]
    for size in (1, 7, 400):
        reader = ChunkReader()
        read = [m for at in range(0, len(data), size) for m in reader.feed(data[at : at + size])]
        assert read == [Message(9, 1, 0xFFFFFF + 40, body)]


def test_stamps_wrap_at_32_bits_by_delta() -> None:
    data = b"\x04\xff\xff\xff\0\0\1\x09\1\0\0\0\xff\xff\xff\xf0a" + b"\x84\0\0\x20b"
    assert [message.timestamp for message in ChunkReader().feed(data)] == [0xFFFFFFF0, 0x10]


def test_smaller_chunk_size_inside_a_message() -> None:
    writer = ChunkWriter()
    video = writer.write(6, Message(9, 1, 0, b"v" * 300))
    change = writer.write(2, Message(1, 0, 0, (64).to_bytes(4, "big")))
    data = video[: 12 + 128] + change
    data += b"\xc6" + b"v" * 64 + b"\xc6" + b"v" * 64 + b"\xc6" + b"v" * 44
    assert [len(message.payload) for message in ChunkReader().feed(data) if message.kind == 9] == [300]


def test_encoder_that_never_sets_its_chunk_size() -> None:
    connection, encoder = publishing()
    connection.receive_data(encoder.video(0, b"v" * 100_000), 0.0)
    assert connection.events() == [VideoData(0, b"v" * 100_000)]


def test_abort_of_an_unknown_chunk_stream_and_a_short_one() -> None:
    writer = ChunkWriter()
    data = writer.write(2, Message(2, 0, 0, (9999).to_bytes(4, "big"))) + writer.write(2, Message(2, 0, 0, b"\1"))
    assert len(ChunkReader().feed(data)) == 2


def test_empty_messages_of_every_type() -> None:
    connection, encoder = publishing()
    for kind in range(1, 23):
        connection.receive_data(encoder.writer.write(5, Message(kind, 1, 0, b"")), 0.0)
    assert not connection.closed
    connection.receive_data(encoder.video(1, b"v"), 0.0)
    assert VideoData(1, b"v") in connection.events()


def test_acknowledgement_wraps_at_32_bits() -> None:
    assert wire.acknowledgement((1 << 32) + 5).payload == (5).to_bytes(4, "big")
    connection, encoder = publishing()
    connection._received = connection._acknowledged = (1 << 32) - 1000
    connection.receive_data(encoder.chunk_size(1 << 20) + encoder.video(0, bytes(1_300_000)), 0.0)
    (ack,) = [message for message in ChunkReader().feed(connection.data_to_send()) if message.kind == 3]
    assert 1_299_000 < int.from_bytes(ack.payload, "big") < 1_400_000


def test_tiny_window_of_the_encoder_is_acknowledged_soon() -> None:
    connection, encoder = publishing()
    connection.receive_data(encoder.writer.write(2, Message(5, 0, 0, (10_000).to_bytes(4, "big"))), 0.0)
    connection.receive_data(encoder.video(0, bytes(6000)), 0.0)
    assert [m.kind for m in ChunkReader().feed(connection.data_to_send())] == [3]


def test_aggregate_with_a_cut_tag_keeps_the_others() -> None:
    connection, encoder = publishing()
    whole = bytes([9]) + (3).to_bytes(3, "big") + (5).to_bytes(3, "big") + bytes(4) + b"abc" + bytes(4)
    cut = bytes([9]) + (300).to_bytes(3, "big") + (9).to_bytes(3, "big") + bytes(4) + b"abc"
    connection.receive_data(encoder.writer.write(4, Message(22, 1, 0xFFFFFFFF, whole + cut)), 0.0)
    assert connection.events() == [VideoData(0xFFFFFFFF, b"abc")]


# --- commands


@pytest.mark.parametrize(
    "order",
    [
        ("releaseStream", "FCPublish", "createStream"),
        ("createStream", "releaseStream", "FCPublish"),
        ("FCPublish", "createStream"),
        ("createStream", "_checkbw"),
        (),
    ],
)
def test_any_order_of_the_calls_before_publish(order: tuple[str, ...]) -> None:
    connection, encoder = RtmpConnection(0.0), Encoder()
    connection.receive_data(HANDSHAKE + encoder.connect(), 0.0)
    connection.data_to_send()
    for number, name in enumerate(order):
        connection.receive_data(encoder.command(name, number + 2, None, "KEY"), 0.0)
        assert b"_result" in connection.data_to_send()
    connection.receive_data(encoder.publish(), 0.0)
    assert [event.key for event in connection.events() if isinstance(event, PublishRequested)] == ["KEY"]


def test_onfcpublish_is_sent_to_those_who_wait_for_it() -> None:
    connection, encoder = RtmpConnection(0.0), Encoder()
    connection.receive_data(HANDSHAKE + encoder.connect() + encoder.command("FCPublish", 3, None, "KEY"), 0.0)
    sent = connection.data_to_send()
    assert b"onFCPublish" in sent


@pytest.mark.parametrize("ending", ["FCUnpublish", "deleteStream", "closeStream"])
def test_republish_on_one_connection(ending: str) -> None:
    connection, encoder = publishing()
    for round_number in range(3):
        connection.receive_data(encoder.command(ending, 0, None, "KEY"), 0.0)
        connection.receive_data(encoder.command("deleteStream", 0, None, 1), 0.0)
        connection.receive_data(encoder.publish(f"KEY{round_number}"), 0.0)
        events = connection.events()
        assert [type(event) for event in events] == [Unpublished, PublishRequested]
        connection.accept_publish(0.0)


def test_unpublish_twice_is_said_once() -> None:
    connection, encoder = publishing()
    connection.receive_data(encoder.command("deleteStream", 0, None, 1) * 3, 0.0)
    assert connection.events() == [Unpublished()]


def sent_by(connection: RtmpConnection) -> list[tuple[int, list[amf.AmfValue]]]:
    """Commands of the server and the message streams they are on."""
    large_chunks = ChunkWriter().write(2, wire.set_chunk_size(4096))
    found = ChunkReader().feed(large_chunks + connection.data_to_send())
    return [(one.stream_id, amf.decode(one.payload)) for one in found if one.kind == wire.COMMAND_AMF0]


def on(stream_id: int, kind: int, stamp: int, body: bytes) -> bytes:
    return ChunkWriter().write(8 + stream_id, Message(kind, stream_id, stamp, body))


def test_another_stream_on_the_same_connection_is_refused_and_the_first_goes_on() -> None:
    connection, encoder = publishing()
    connection.receive_data(encoder.command("createStream", 9, None), 0.0)
    ((_, created),) = sent_by(connection)
    assert created == ["_result", 9.0, None, 2.0]
    connection.receive_data(encoder.command("publish", 10, None, "OTHER", "live", stream_id=2), 0.0)
    ((stream_id, status),) = sent_by(connection)
    assert (stream_id, status[0]) == (2, "onStatus")
    assert isinstance(status[3], dict)
    assert (status[3]["level"], status[3]["code"]) == ("error", "NetStream.Publish.BadName")
    connection.receive_data(on(2, 9, 1, b"other") + on(1, 9, 2, b"first") + on(2, 8, 3, b"other"), 0.0)
    data = amf.encode(["onMetaData", {"width": 1.0}])
    connection.receive_data(on(2, 18, 4, data), 0.0)
    assert connection.events() == [
        Quirk("publish_of_another_stream"),
        Quirk("media_of_another_stream"),
        VideoData(2, b"first"),
    ]
    ends = [("FCUnpublish", 0, "OTHER"), ("closeStream", 2, None), ("deleteStream", 0, 2.0)]
    for command, at, argument in ends:
        connection.receive_data(encoder.command(command, 11, None, argument, stream_id=at), 0.0)
        assert sent_by(connection) == [(0, ["_result", 11.0, None, None])]
    assert connection.events() == []
    connection.receive_data(encoder.command("deleteStream", 0, None, 1.0), 0.0)
    assert connection.events() == [Unpublished()]


def test_a_second_stream_publishes_once_the_first_has_ended() -> None:
    connection, encoder = publishing()
    connection.receive_data(encoder.command("createStream", 9, None), 0.0)
    connection.receive_data(encoder.command("deleteStream", 0, None, 1.0), 0.0)
    connection.receive_data(encoder.command("publish", 10, None, "OTHER", "live", stream_id=2), 0.0)
    connection.accept_publish(0.0)
    connection.receive_data(on(2, 9, 1, b"other"), 0.0)
    unpublished, request, media = connection.events()
    assert isinstance(request, PublishRequested)
    assert request.key == "OTHER"
    assert (unpublished, media) == (Unpublished(), VideoData(1, b"other"))


def test_another_name_on_the_stream_that_publishes_is_refused() -> None:
    connection, encoder = publishing()
    connection.receive_data(encoder.publish("OTHER") + encoder.video(2, b"first"), 0.0)
    assert connection.events() == [Quirk("publish_of_another_stream"), VideoData(2, b"first")]
    assert not connection.closed


def test_who_opens_streams_without_end_takes_no_memory() -> None:
    connection, encoder = publishing()
    for index in range(200):
        connection.receive_data(encoder.command("createStream", 9, None), 0.0)
        connection.receive_data(encoder.command("publish", 9, None, f"K{index}", stream_id=20 + index), 0.0)
    assert len(connection._streams.others) <= 32
    assert len(connection._streams._refused_keys) <= 16


@pytest.mark.parametrize("kind", ["live", "record", "append", "LIVE"])
def test_publish_types(kind: str) -> None:
    connection, encoder = RtmpConnection(0.0), Encoder()
    connection.receive_data(HANDSHAKE + encoder.connect() + encoder.publish("KEY", kind), 0.0)
    assert [event.kind for event in connection.events() if isinstance(event, PublishRequested)] == [kind]


def test_connect_twice_is_harmless() -> None:
    connection, encoder = publishing()
    connection.receive_data(encoder.connect(), 0.0)
    assert not connection.closed


@pytest.mark.parametrize("arguments", [None, 1.0, "text", ["list"], {"app": 5.0, "tcUrl": None}])
def test_connect_arguments_of_any_type(arguments: amf.AmfValue) -> None:
    connection, encoder = RtmpConnection(0.0), Encoder()
    connection.receive_data(HANDSHAKE + encoder.command("connect", 1, arguments) + encoder.publish(), 0.0)
    assert [event.key for event in connection.events() if isinstance(event, PublishRequested)] == ["KEY"]
    assert not connection.closed


def test_connect_object_as_an_ecma_array_with_a_wrong_count() -> None:
    body = b"\2\0\7connect" + b"\0\x3f\xf0\0\0\0\0\0\0" + b"\x08\0\0\0\x63\0\3app\2\0\4live\0\0\x09"
    connection, encoder = RtmpConnection(0.0), Encoder()
    connection.receive_data(HANDSHAKE + encoder.writer.write(3, Message(20, 0, 0, body)), 0.0)
    assert connection.events()[0] == Quirk("connect_without_url")


def test_connected_before_anything_else_with_long_names() -> None:
    _, connected, _ = connecting(app="a" * 5000, flashVer="f" * 5000)
    assert len(connected.app) == 2048
    assert len(connected.encoder) == 120


@pytest.mark.parametrize(
    "values",
    [
        ("@setDataFrame", "onMetaData", {"width": 1.0}),
        ("onMetaData", {"width": 1.0}),
        ("onMetaData", amf.EcmaArray(width=1.0)),
        (7.0, 8.0, "@setDataFrame", "onMetaData", {"width": 1.0}),
        ("x", "onMetaData", {"width": 1.0}),
        ("@setDataFrame", "onMetaData", None, {"width": 1.0}),
    ],
)
def test_metadata_behind_any_prefix(values: tuple[amf.AmfValue, ...]) -> None:
    connection, encoder = publishing()
    connection.receive_data(encoder.metadata(*values), 0.0)
    assert Metadata({"width": 1.0}) in connection.events()


@pytest.mark.parametrize(
    "values",
    [
        ("onTextData", {"text": "goal", "language": "en"}),
        ("@setDataFrame", "onTextData", {"text": "goal"}),
        ("onCuePoint", {"name": "goal", "time": 3.0, "type": "event"}),
        ("onCuePoint", "goal"),
    ],
)
def test_cues_of_encoders(values: tuple[amf.AmfValue, ...]) -> None:
    connection, encoder = publishing()
    connection.receive_data(encoder.metadata(*values), 0.0)
    assert connection.events() == [Cue("goal")]


@pytest.mark.parametrize(
    "values", [("onTextData",), ("onCuePoint", {"time": 3.0}), ("onFI", {"text": "x"}), (3.0,)]
)
def test_data_that_says_nothing_is_passed_over(values: tuple[amf.AmfValue, ...]) -> None:
    connection, encoder = publishing()
    connection.receive_data(encoder.metadata(*values), 0.0)
    assert connection.events() == []


def test_metadata_with_wrong_count_and_no_end() -> None:
    connection, encoder = publishing()
    for count in (0, 1, 0xFFFFFFFF):
        body = b"\2\0\x0aonMetaData\x08" + count.to_bytes(4, "big") + b"\0\1w\0\x3f\xf0\0\0\0\0\0\0"
        connection.receive_data(encoder.writer.write(4, Message(18, 1, 0, body + b"\0\0\x09")), 0.0)
        assert Metadata({"w": 1.0}) in connection.events()
        connection.receive_data(encoder.writer.write(4, Message(18, 1, 0, body)), 0.0)
        assert not connection.closed


def test_amf3_data_and_commands_with_and_without_the_leading_byte() -> None:
    connection, encoder = publishing()
    body = amf.encode(["onMetaData", {"w": 1.0}])
    for lead in (b"\0", b""):
        connection.receive_data(encoder.writer.write(4, Message(15, 1, 0, lead + body)), 0.0)
        assert connection.events() == [Metadata({"w": 1.0})]
        call = amf.encode(["_checkbw", 9, None])
        connection.receive_data(encoder.writer.write(3, Message(17, 0, 0, lead + call)), 0.0)
        (answer,) = ChunkReader().feed(connection.data_to_send())
        assert amf.decode(answer.payload) == ["_result", 9.0, None, None]


def test_timecode_data_and_unknown_user_controls_are_ignored() -> None:
    connection, encoder = publishing()
    data = encoder.metadata("onTextData", {"text": "x"}) + encoder.writer.write(4, Message(18, 1, 0, b"\0\0\0\1"))
    for event in (31, 32, 3, 26):
        data += encoder.writer.write(2, Message(4, 0, 0, event.to_bytes(2, "big") + bytes(4)))
    connection.receive_data(data, 0.0)
    assert not connection.closed
    assert not any(isinstance(event, Metadata) for event in connection.events())
