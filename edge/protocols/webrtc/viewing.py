"""What we send of what an offer wants to receive, and the answer that says so (draft-ietf-wish-whep, 4)."""

from collections.abc import Mapping

from edge.protocols.webrtc.answer import Chosen, LocalDescription, Negotiated, mid_of
from edge.protocols.webrtc.errors import NoCodecError
from edge.protocols.webrtc.sdp import Codec, MediaSection, Offer
from edge.protocols.webrtc.sender import StreamForm

SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
_RECEIVING = frozenset({"recvonly", "sendrecv"})
_FEEDBACK = ("goog-remb", "nack", "nack pli", "ccm fir")
_MOST_EXTENSION = 14  # of one-byte extensions (RFC 8285, 4.2)
_LIKED = ("42e0", "42c0", "4200", "4d", "64")  # profiles that browsers name although they decode High too


def negotiate_viewer(offer: Offer, *, video: bool = True, profile: str = "") -> Negotiated:
    """Chooses H.264 in packetization mode 1 and Opus. NoCodecError when the offer receives neither.

    `video`: whether there are pictures. `profile`: profile_idc and constraints of them in hex, such as "6400": an
    offered payload type of the same profile is preferred.
    """
    sections: list[Chosen | None] = []
    taken: set[str] = set()
    for section in offer.sections:
        codec = None
        wanted = section.kind not in taken and section.direction in _RECEIVING and section.is_offered
        if wanted and (video or section.kind == "audio"):
            codec = _choose(section, profile)
        if codec is not None:
            taken.add(section.kind)
        sections.append(Chosen(section, codec) if codec is not None else None)
    if not taken:
        raise NoCodecError("the offer receives no H.264 picture in packetization mode 1 and no Opus sound")
    return Negotiated(tuple(sections), dtls_active=offer.setup == "passive")


def _choose(section: MediaSection, profile: str) -> Codec | None:
    offered = [section.codecs[number] for number in section.payload_types if number in section.codecs]
    if section.kind == "audio":
        return next((codec for codec in offered if codec.name == "opus"), None)
    if section.kind != "video":
        return None
    usable = [
        codec
        for codec in offered
        if codec.name == "h264" and codec.parameters.get("packetization-mode", "0") == "1"
    ]
    return min(usable, key=lambda codec: _rank(codec, profile), default=None)


def _rank(codec: Codec, profile: str) -> int:
    """0 for the profile itself, then the usual ones; browsers decode more than they name."""
    offered = codec.parameters.get("profile-level-id", "42e01f").lower()
    if profile and offered.startswith(profile[:2].lower()):
        return 0
    return 1 + next((rank for rank, start in enumerate(_LIKED) if offered.startswith(start)), len(_LIKED))


def stream_form(chosen: Chosen, ssrc: int, rtx_ssrc: int) -> StreamForm:
    """How packets of a section are made."""
    section, codec = chosen
    repeats = section.kind == "video" and chosen.understands("nack") and codec.rtx >= 0
    identifier = section.extensions.get(SEND_TIME, 0)
    return StreamForm(
        ssrc=ssrc,
        payload_type=codec.payload_type,
        clock_rate=codec.clock_rate,
        rtx_ssrc=rtx_ssrc if repeats else 0,
        rtx_type=codec.rtx if repeats else -1,
        send_time_id=identifier if identifier <= _MOST_EXTENSION else 0,
    )


def write_viewer_answer(
    offer: Offer, negotiated: Negotiated, forms: Mapping[str, StreamForm], local: LocalDescription
) -> str:
    """The answer to `offer`; `forms` by the kind of the section."""
    mids = [mid_of(offer, index) for index, one in enumerate(negotiated.sections) if one is not None]
    lines = ["v=0", f"o=- {local.session_id} 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite"]
    lines += [f"a=group:BUNDLE {' '.join(mids)}", "a=msid-semantic: WMS *"]
    first = True
    for index, (section, chosen) in enumerate(zip(offer.sections, negotiated.sections, strict=True)):
        mid = mid_of(offer, index)
        if chosen is None:
            lines += [f"m={section.kind} 0 {section.protocol} {section.formats}", "c=IN IP4 0.0.0.0"]
            lines += ["a=inactive", f"a=mid:{mid}"]
            continue
        lines += _transport(chosen, mid, forms[section.kind], local, active=negotiated.dtls_active)
        if first:
            lines += [f"a=candidate:{candidate}" for candidate in local.candidates] + ["a=end-of-candidates"]
        first = False
        lines += _codec(chosen, forms[section.kind])
        lines += _sources(section.kind, forms[section.kind])
    return "\r\n".join(lines) + "\r\n"


def _transport(chosen: Chosen, mid: str, form: StreamForm, local: LocalDescription, *, active: bool) -> list[str]:
    section, codec = chosen
    types = [codec.payload_type] + ([form.rtx_type] if form.rtx_type >= 0 else [])
    lines = [f"m={section.kind} 9 {section.protocol} {' '.join(map(str, types))}", "c=IN IP4 0.0.0.0"]
    lines += [f"a=mid:{mid}", "a=sendonly", "a=rtcp-mux", "a=rtcp-rsize"]
    lines += [f"a=ice-ufrag:{local.fragment}", f"a=ice-pwd:{local.password}"]
    lines += [f"a=fingerprint:sha-256 {local.fingerprint}", f"a=setup:{'active' if active else 'passive'}"]
    if form.send_time_id:
        lines.append(f"a=extmap:{form.send_time_id} {SEND_TIME}")
    return lines


def _codec(chosen: Chosen, form: StreamForm) -> list[str]:
    section, codec = chosen
    number = codec.payload_type
    name = "opus" if codec.name == "opus" else codec.name.upper()
    lines = [f"a=rtpmap:{number} {name}/{codec.clock_rate}" + (f"/{codec.channels}" if codec.channels else "")]
    kinds = [kind for kind in _FEEDBACK if section.kind == "video" and chosen.understands(kind)]
    lines += [f"a=rtcp-fb:{number} {kind}" for kind in kinds]
    parameters = dict(codec.parameters)
    if section.kind == "audio":
        parameters |= {"stereo": "1", "sprop-stereo": "1"}
    pairs = [f"{key}={value}" if value else key for key, value in parameters.items()]
    if pairs:
        lines.append(f"a=fmtp:{number} {';'.join(pairs)}")
    if form.rtx_type >= 0:
        lines += [f"a=rtpmap:{form.rtx_type} rtx/{codec.clock_rate}", f"a=fmtp:{form.rtx_type} apt={number}"]
    return lines


def _sources(kind: str, form: StreamForm) -> list[str]:
    """One stream for picture and sound: players keep them in step (RFC 8830)."""
    lines = [f"a=msid:nearcast {kind}"]
    if form.rtx_type < 0:
        return [*lines, f"a=ssrc:{form.ssrc} cname:nearcast"]
    lines.append(f"a=ssrc-group:FID {form.ssrc} {form.rtx_ssrc}")
    # browsers take the first one listed for the stream itself
    return [*lines, f"a=ssrc:{form.ssrc} cname:nearcast", f"a=ssrc:{form.rtx_ssrc} cname:nearcast"]
