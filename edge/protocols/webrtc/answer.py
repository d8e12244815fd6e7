"""What we take of an offer, and the answer that says so (RFC 9429, 5.3; RFC 9725, 4.2)."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from edge.protocols.webrtc.errors import NoCodecError
from edge.protocols.webrtc.sdp import MID, REPAIRED_RID, RID, TRANSPORT_WIDE, Codec, MediaSection, Offer

VIDEO_CODECS = ("h264", "vp8", "vp9", "av1", "h265")
"""In the order in which we choose: H.264 is what viewers play without transcoding."""

AUDIO_CODECS = ("opus",)
_CODECS = {"video": VIDEO_CODECS, "audio": AUDIO_CODECS}
_SENDING = frozenset({"sendonly", "sendrecv"})
_FEEDBACK = ("nack", "nack pli", "ccm fir")


class Chosen(NamedTuple):
    """A section that we receive, and its codec."""

    section: MediaSection
    codec: Codec

    def understands(self, feedback: str) -> bool:
        """Whether the sender offered this kind of feedback."""
        return feedback in self.section.accepts(self.codec.payload_type)

    @property
    def congestion(self) -> str:
        """The congestion feedback that is used: transport-cc, goog-remb or none."""
        if self.understands("transport-cc") and TRANSPORT_WIDE in self.section.extensions:
            return "transport-cc"
        return "goog-remb" if self.understands("goog-remb") else ""


@dataclasses.dataclass(frozen=True, slots=True)
class Negotiated:
    """Sections in the order of the offer, None for those that we decline."""

    sections: tuple[Chosen | None, ...]
    dtls_active: bool

    @property
    def chosen(self) -> tuple[Chosen, ...]:
        """What is received: one audio and one video section at most."""
        return tuple(one for one in self.sections if one is not None)


@dataclasses.dataclass(frozen=True, slots=True)
class LocalDescription:
    """Our side. `candidates` are a=candidate values; `start_kbps` is what a browser's encoder begins with."""

    fragment: str
    password: str
    fingerprint: str
    session_id: int
    candidates: Sequence[str] = ()
    start_kbps: int = 1500


def negotiate(offer: Offer) -> Negotiated:
    """Chooses. NoCodecError when there is nothing that we can receive."""
    sections: list[Chosen | None] = []
    taken: set[str] = set()
    for section in offer.sections:
        codec = None
        if section.kind not in taken and section.direction in _SENDING and section.is_offered:
            codec = _choose(section)
        if codec is not None:
            taken.add(section.kind)
        sections.append(Chosen(section, codec) if codec is not None else None)
    if not taken:
        raise NoCodecError("the offer sends no H.264, VP8, VP9, AV1 or HEVC picture and no Opus sound")
    return Negotiated(tuple(sections), dtls_active=offer.setup == "passive")


def _choose(section: MediaSection) -> Codec | None:
    """The first of our order that is offered; among equals packetization mode 1, then the client's order."""
    offered = [section.codecs[number] for number in section.payload_types if number in section.codecs]
    for name in _CODECS.get(section.kind, ()):
        same = [codec for codec in offered if codec.name == name]
        same.sort(key=lambda codec: codec.parameters.get("packetization-mode", "0") != "1")
        if same:
            return same[0]
    return None


def write_answer(offer: Offer, negotiated: Negotiated, local: LocalDescription) -> str:
    """The answer to `offer`."""
    mids = [mid_of(offer, index) for index, one in enumerate(negotiated.sections) if one is not None]
    lines = [
        "v=0",
        f"o=- {local.session_id} 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        f"a=group:BUNDLE {' '.join(mids)}",
        "a=msid-semantic: WMS *",
    ]
    first = True
    for index, (section, chosen) in enumerate(zip(offer.sections, negotiated.sections, strict=True)):
        mid = mid_of(offer, index)
        if chosen is None:
            lines += [f"m={section.kind} 0 {section.protocol} {section.formats}", "c=IN IP4 0.0.0.0"]
            lines += ["a=inactive", f"a=mid:{mid}"]
            continue
        lines += _section(chosen, mid, local, active=negotiated.dtls_active, with_candidates=first)
        first = False
    return "\r\n".join(lines) + "\r\n"


def write_restart(local: LocalDescription, mid: str) -> str:
    """The fragment that answers an ICE restart (RFC 9725, 4.3.3)."""
    lines = ["a=ice-lite", f"a=ice-ufrag:{local.fragment}", f"a=ice-pwd:{local.password}"]
    lines += ["m=audio 9 UDP/TLS/RTP/SAVPF 0", f"a=mid:{mid}"]
    lines += [f"a=candidate:{candidate}" for candidate in local.candidates]
    return "\r\n".join([*lines, "a=end-of-candidates"]) + "\r\n"


def candidates(addresses: Sequence[str], port: int) -> list[str]:
    """a=candidate values (RFC 8839, 5.1; RFC 6544, 4.5): UDP first, TCP for networks that block it."""
    found = []
    for index, address in enumerate(addresses):
        local_preference = 65_535 - index
        udp = 126 << 24 | local_preference << 8 | 255
        tcp = 99 << 24 | local_preference << 8 | 255
        found.append(f"{2 * index + 1} 1 udp {udp} {address} {port} typ host")
        found.append(f"{2 * index + 2} 1 tcp {tcp} {address} {port} typ host tcptype passive")
    return found


def mid_of(offer: Offer, index: int) -> str:
    """The identification of a section, its number where the offer gives none."""
    return offer.sections[index].mid or str(index)


def _section(
    chosen: Chosen, mid: str, local: LocalDescription, *, active: bool, with_candidates: bool
) -> list[str]:
    section, codec = chosen
    types = [codec.payload_type] + ([codec.rtx] if codec.rtx >= 0 else [])
    lines = [f"m={section.kind} 9 {section.protocol} {' '.join(map(str, types))}", "c=IN IP4 0.0.0.0"]
    lines += [f"a=mid:{mid}", "a=recvonly", "a=rtcp-mux", "a=rtcp-rsize"]
    if with_candidates:
        lines += [f"a=candidate:{candidate}" for candidate in local.candidates] + ["a=end-of-candidates"]
    lines += [f"a=ice-ufrag:{local.fragment}", f"a=ice-pwd:{local.password}"]
    lines += [f"a=fingerprint:sha-256 {local.fingerprint}", f"a=setup:{'active' if active else 'passive'}"]
    wanted = [MID, TRANSPORT_WIDE] + ([RID, REPAIRED_RID] if section.rids else [])
    lines += [f"a=extmap:{section.extensions[name]} {name}" for name in wanted if name in section.extensions]
    return lines + _codec_lines(chosen, local.start_kbps) + _layer_lines(section.rids)


def _codec_lines(chosen: Chosen, start_kbps: int) -> list[str]:
    codec = chosen.codec
    number = codec.payload_type
    name = "opus" if codec.name == "opus" else codec.name.upper()
    lines = [f"a=rtpmap:{number} {name}/{codec.clock_rate}" + (f"/{codec.channels}" if codec.channels else "")]
    loss = [kind for kind in _FEEDBACK if chosen.section.kind == "video" and chosen.understands(kind)]
    lines += [f"a=rtcp-fb:{number} {kind}" for kind in (chosen.congestion, *loss) if kind]
    parameters = dict(codec.parameters)
    if chosen.section.kind == "video":
        parameters["x-google-start-bitrate"] = str(start_kbps)
    else:
        # what begins with sprop tells of a sender (RFC 7587, 7.1), and senders take it for a wish
        parameters = {key: value for key, value in parameters.items() if not key.startswith("sprop-")}
        parameters |= {"stereo": "1", "useinbandfec": "1"}
    pairs = [f"{key}={value}" if value else key for key, value in parameters.items()]
    lines.append(f"a=fmtp:{number} {';'.join(pairs)}")
    if codec.rtx >= 0:
        lines += [f"a=rtpmap:{codec.rtx} rtx/{codec.clock_rate}", f"a=fmtp:{codec.rtx} apt={number}"]
    return lines


def _layer_lines(rids: Sequence[str]) -> list[str]:
    if not rids:
        return []
    return [f"a=rid:{rid} recv" for rid in rids] + [f"a=simulcast:recv {';'.join(rids)}"]
