"""Offers of clients as they are, and our answers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webrtc_bytes import AUDIO, FINGERPRINT, VIDEO, chromium_simulcast, offer

from edge.protocols.webrtc.answer import LocalDescription, candidates, negotiate, write_answer, write_restart
from edge.protocols.webrtc.errors import NoCodecError, SdpError
from edge.protocols.webrtc.sdp import MAX_BYTES, parse_fragment, parse_offer
from edge.protocols.webrtc.viewing import negotiate_viewer

LOCAL = LocalDescription("ours", "x" * 24, FINGERPRINT, 5, candidates(["192.0.2.1"], 8189))


def answer_to(text: str) -> list[str]:
    parsed = parse_offer(text)
    return write_answer(parsed, negotiate(parsed), LOCAL).split("\r\n")


def test_an_offer_of_chromium() -> None:
    parsed = parse_offer(chromium_simulcast())
    assert [section.kind for section in parsed.sections] == ["audio", "video"]
    assert parsed.sections[1].rids == ["h", "m", "l"]
    assert parsed.setup == "actpass"
    chosen = negotiate(parsed).chosen
    assert [(one.codec.name, one.codec.payload_type, one.codec.rtx) for one in chosen] == [
        ("opus", 111, -1),
        ("h264", 102, 103),
    ]
    assert chosen[1].congestion == "transport-cc"


def test_the_answer_to_chromium() -> None:
    lines = answer_to(chromium_simulcast())
    for expected in (
        "a=ice-lite",
        "a=group:BUNDLE 0 1",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "m=video 9 UDP/TLS/RTP/SAVPF 102 103",
        "a=setup:passive",
        "a=recvonly",
        "a=rtpmap:111 opus/48000/2",
        "a=rtpmap:102 H264/90000",
        "a=fmtp:103 apt=102",
        "a=rtcp-fb:102 transport-cc",
        "a=rtcp-fb:102 nack",
        "a=rtcp-fb:102 nack pli",
        "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        "a=rid:h recv",
        "a=simulcast:recv h;m;l",
    ):
        assert expected in lines
    assert any("x-google-start-bitrate=1500" in line for line in lines)
    assert lines.count("a=end-of-candidates") == 1
    assert not any("goog-remb" in line for line in lines)
    assert not any("toffset" in line for line in lines)


def test_only_what_was_offered_is_answered() -> None:
    plain = "m=video 9 UDP/TLS/RTP/SAVPF 96\na=sendonly\na=rtpmap:96 H264/90000\n"
    lines = answer_to(offer(plain, AUDIO))
    assert not any(line.startswith(("a=rtcp-fb", "a=extmap", "a=rid", "a=simulcast")) for line in lines)


def test_remb_without_the_extension_of_transport_wide_feedback() -> None:
    text = VIDEO.replace("a=extmap:3", "a=extmap-not:3") + "a=rtcp-fb:96 goog-remb\n"
    parsed = parse_offer(offer(text))
    assert negotiate(parsed).chosen[0].congestion == "goog-remb"


def test_our_order_of_codecs() -> None:
    text = (
        "m=video 9 UDP/TLS/RTP/SAVPF 100 98 96 97\na=rtpmap:100 VP9/90000\na=rtpmap:98 VP8/90000\n"
        "a=rtpmap:96 H264/90000\na=rtpmap:97 H264/90000\na=fmtp:97 packetization-mode=1\n"
    )
    assert negotiate(parse_offer(offer(text))).chosen[0].codec.payload_type == 97
    without = text.replace("H264", "H263")
    assert negotiate(parse_offer(offer(without))).chosen[0].codec.name == "vp8"


def test_second_sections_and_data_channels_are_declined() -> None:
    data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\n"
    lines = answer_to(offer(VIDEO, VIDEO, data, AUDIO))
    assert "a=group:BUNDLE 0 3" in lines
    assert "m=video 0 UDP/TLS/RTP/SAVPF 96 97" in lines
    assert "m=application 0 UDP/DTLS/SCTP webrtc-datachannel" in lines


def test_a_section_that_is_only_to_be_bundled_is_no_refused_one() -> None:
    """As GStreamer's whipclientsink offers its second one (RFC 9143, 7.2.1)."""
    zero = AUDIO.replace("m=audio 9", "m=audio 0")
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111" in answer_to(offer(VIDEO, zero + "a=bundle-only\n"))
    assert "m=audio 0 UDP/TLS/RTP/SAVPF 111" in answer_to(offer(VIDEO, zero))
    receiving = parse_offer(offer(VIDEO, zero + "a=bundle-only\n").replace("a=sendonly", "a=recvonly"))
    assert [one.section.kind for one in negotiate_viewer(receiving).chosen] == ["video", "audio"]


def test_what_tells_of_a_sender_is_not_answered() -> None:
    """GStreamer's payloader takes sprop-stereo for a wish, and stops when it has another number of channels."""
    lines = answer_to(offer(VIDEO, AUDIO + "a=fmtp:111 sprop-stereo=0;sprop-maxcapturerate=48000;minptime=10\n"))
    assert "a=fmtp:111 minptime=10;stereo=1;useinbandfec=1" in lines


def test_a_passive_client_makes_us_active() -> None:
    parsed = parse_offer(offer(VIDEO, head="a=setup:passive"))
    assert negotiate(parsed).dtls_active
    assert "a=setup:active" in answer_to(offer(VIDEO, head="a=setup:passive"))


@pytest.mark.parametrize("text", [offer(VIDEO), offer(VIDEO).replace("\r\n", "\n"), offer(VIDEO).rstrip()])
def test_line_ends(text: str) -> None:
    assert negotiate(parse_offer(text)).chosen


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "v=0",
        offer(),
        offer(VIDEO).replace("a=ice-ufrag:abcd", ""),
        offer(VIDEO).replace("a=ice-pwd:0123456789abcdef0123", "a=ice-pwd:<>"),
        offer(VIDEO).replace("a=fingerprint", "a=finger"),
        offer(VIDEO, AUDIO).replace("a=group:BUNDLE", "a=group:LS"),
        offer(VIDEO).replace("m=video 9", "m=video"),
        offer(VIDEO).replace("a=mid:0", "a=mid:a b"),
        offer(VIDEO).replace("a=mid:0", "a=mid:0\x00"),
        offer(*[VIDEO] * 20),
        offer(VIDEO) + "a=x\r\n" * 3000,
        offer(VIDEO) + "a=" + "x" * MAX_BYTES,
    ],
)
def test_refused_offers(text: str) -> None:
    with pytest.raises(SdpError):
        parse_offer(text)


@pytest.mark.parametrize(
    "section",
    [
        VIDEO.replace("H264", "H261").replace("apt=96", "apt=0"),
        VIDEO.replace("sendonly", "recvonly"),
        VIDEO.replace("m=video 9", "m=video 0"),
        "m=text 9 RTP/AVP 96\na=rtpmap:96 t140/1000\n",
    ],
)
def test_nothing_to_receive(section: str) -> None:
    with pytest.raises(NoCodecError):
        negotiate(parse_offer(offer(section)))


@settings(max_examples=25)
@given(st.data())
def test_any_damage_to_an_offer(data: st.DataObject) -> None:
    lines = chromium_simulcast().split("\n")
    for _ in range(data.draw(st.integers(1, 5))):
        number = data.draw(st.integers(0, len(lines) - 1))
        action = data.draw(st.sampled_from(["drop", "cut", "change", "move"]))
        line = lines.pop(number)
        if action == "cut":
            lines.insert(number, line[: data.draw(st.integers(0, len(line)))])
        elif action == "change":
            lines.insert(number, line[:3] + data.draw(st.text(max_size=30)))
        elif action == "move":
            lines.insert(data.draw(st.integers(0, len(lines))), line)
    try:
        parsed = parse_offer("\n".join(lines))
        text = write_answer(parsed, negotiate(parsed), LOCAL)
    except SdpError:
        return
    assert all(line[1:2] == "=" for line in text.rstrip("\r\n").split("\r\n"))


@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    for body in (text, "v=0\n" + text):
        with pytest.raises(SdpError):
            parse_offer(body)
    try:
        parse_fragment(text)
    except SdpError:
        return


def test_fragments() -> None:
    body = "a=ice-ufrag:fresh\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
    body += "a=candidate:1 1 udp 5 192.0.2.1 9 typ host\r\na=end-of-candidates\r\n"
    found = parse_fragment(body)
    assert found == ("fresh", "0123456789012345678901", 1)
    assert parse_fragment("a=candidate:1 1 udp 5 x.local 9 typ host") == ("", "", 1)
    with pytest.raises(SdpError):
        parse_fragment("a=ice-ufrag:<bad>")


def test_restart_fragment() -> None:
    lines = write_restart(LOCAL, "0").split("\r\n")
    assert "a=ice-ufrag:ours" in lines
    assert any(line.startswith("a=candidate:") for line in lines)


def test_candidates_prefer_udp_and_the_first_address() -> None:
    found = candidates(["192.0.2.1", "2001:db8::1"], 8189)
    priorities = [int(one.split()[3]) for one in found]
    assert priorities[0] > priorities[2] > priorities[1] > priorities[3]
    assert found[1].endswith("192.0.2.1 8189 typ host tcptype passive")
