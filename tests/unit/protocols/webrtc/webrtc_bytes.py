"""What peers send: checks, packets, payloads, offers."""

import struct
from pathlib import Path

from aioice import stun

FINGERPRINT = ":".join(["AB"] * 32)


def check(
    fragment: str, password: str, *, nominate: bool = False, controlled: bool = False, priority: int = 9
) -> bytes:
    """A connectivity check as an independent implementation makes it."""
    message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{fragment}:remote"
    message.attributes["PRIORITY"] = priority
    message.attributes["ICE-CONTROLLED" if controlled else "ICE-CONTROLLING"] = 1
    if nominate:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(password.encode())
    return bytes(message)


def rtp(
    sequence: int,
    timestamp: int = 0,
    payload: bytes = b"\x09\x10",
    *,
    payload_type: int = 96,
    ssrc: int = 1,
    marker: bool = False,
    extensions: dict[int, bytes] | None = None,
) -> bytes:
    """An RTP packet with one-byte header extensions."""
    head = 0x90 if extensions else 0x80
    out = struct.pack("!BBHII", head, payload_type | marker << 7, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    if extensions:
        block = b"".join(bytes([number << 4 | len(value) - 1]) + value for number, value in extensions.items())
        block += b"\0" * (-len(block) % 4)
        out += struct.pack("!HH", 0xBEDE, len(block) // 4) + block
    return out + payload


def offer(*sections: str, head: str = "") -> str:
    """A small offer around media sections."""
    mids = " ".join(str(number) for number in range(len(sections)))
    lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", f"a=group:BUNDLE {mids}"]
    lines += ["a=ice-ufrag:abcd", "a=ice-pwd:0123456789abcdef0123", f"a=fingerprint:sha-256 {FINGERPRINT}"]
    lines += [line for line in head.split("\n") if line]
    for number, section in enumerate(sections):
        lines += [*section.strip().split("\n"), f"a=mid:{number}"]
    return "\r\n".join(lines) + "\r\n"


VIDEO = """m=video 9 UDP/TLS/RTP/SAVPF 96 97
a=sendonly
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1;profile-level-id=42e01f
a=rtcp-fb:96 nack
a=rtcp-fb:96 nack pli
a=rtcp-fb:96 transport-cc
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
"""
AUDIO = """m=audio 9 UDP/TLS/RTP/SAVPF 111
a=sendonly
a=rtpmap:111 opus/48000/2
"""


def chromium_simulcast() -> str:
    """An offer of Chromium 156 with three layers."""
    return (Path(__file__).parent / "chromium_simulcast.sdp").read_text(encoding="utf-8")
