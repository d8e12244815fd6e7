"""Session descriptions (RFC 8866, RFC 9429): a tolerant reader of offers, and of trickled fragments (RFC 8840)."""

import dataclasses
import re
from typing import NamedTuple

from edge.protocols.webrtc.errors import SdpError

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
TRANSPORT_WIDE = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

MAX_BYTES = 48 * 1024
_MAX_LINES = 2_000
_MAX_SECTIONS = 16
_MAX_CODECS = 128
_MAX_RIDS = 6
_DIRECTIONS = frozenset({"sendonly", "recvonly", "sendrecv", "inactive"})
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,64}\Z")
_CREDENTIAL = re.compile(r"[A-Za-z0-9+/=_\-]{4,256}\Z")
_ANY = -1


@dataclasses.dataclass(slots=True)
class Codec:
    """One payload type. `name` in lower case; `rtx` is the payload type of its retransmissions, -1 none."""

    payload_type: int
    name: str
    clock_rate: int
    channels: str = ""
    parameters: dict[str, str] = dataclasses.field(default_factory=dict)
    rtx: int = -1


@dataclasses.dataclass(slots=True)
class MediaSection:
    """One m= section of an offer."""

    kind: str
    protocol: str
    payload_types: list[int]
    port: int
    formats: str
    mid: str = ""
    direction: str = "sendrecv"
    codecs: dict[int, Codec] = dataclasses.field(default_factory=dict)
    extensions: dict[str, int] = dataclasses.field(default_factory=dict)
    rids: list[str] = dataclasses.field(default_factory=list)
    feedback: dict[int, set[str]] = dataclasses.field(default_factory=dict)
    attributes: dict[str, str] = dataclasses.field(default_factory=dict)
    parameters: dict[int, dict[str, str]] = dataclasses.field(default_factory=dict)

    @property
    def is_offered(self) -> bool:
        """Whether there is anything to accept: a port of 0 says no, but for a section that is to be bundled with
        another one only (RFC 9143, 7.2.1)."""
        return self.port != 0 or "bundle-only" in self.attributes

    def accepts(self, payload_type: int) -> set[str]:
        """The kinds of feedback that the sender of a payload type understands."""
        return self.feedback.get(payload_type, set()) | self.feedback.get(_ANY, set())


@dataclasses.dataclass(slots=True)
class Offer:
    """What a client offers. `fingerprints` are (hash name, value); `setup` its DTLS role."""

    sections: list[MediaSection]
    fragment: str
    password: str
    fingerprints: list[tuple[str, str]]
    setup: str


class Fragment(NamedTuple):
    """A trickled fragment: credentials are empty when it has none, `candidates` is their number."""

    fragment: str
    password: str
    candidates: int


def parse_offer(text: str) -> Offer:
    """Reads an offer; lines may end in LF alone, unknown lines are passed over.

    SdpError when it is too large or no description, or lacks what a session needs: ICE credentials, a
    fingerprint, BUNDLE for more than one section.
    """
    reader = _Reader()
    lines = _lines(text)
    if not lines or not lines[0].startswith("v="):
        raise SdpError("the body is no session description: it does not begin with v=0")
    for line in lines:
        reader.line(line)
    return reader.offer()


def parse_fragment(text: str) -> Fragment:
    """Reads an application/trickle-ice-sdpfrag body. SdpError when it is too large or malformed."""
    found = {"ice-ufrag": "", "ice-pwd": ""}
    candidates = 0
    for line in _lines(text):
        name, _, value = line[2:].partition(":")
        if line.startswith("a=candidate:"):
            candidates += 1
        elif line.startswith("a=") and name in found:
            found[name] = value.strip()
    if any(value and not _CREDENTIAL.match(value) for value in found.values()):
        raise SdpError("malformed ICE credentials")
    return Fragment(found["ice-ufrag"], found["ice-pwd"], candidates)


def _lines(text: str) -> list[str]:
    if len(text) > MAX_BYTES:
        raise SdpError("the description is too large")
    lines = text.replace("\r\n", "\n").split("\n")
    if len(lines) > _MAX_LINES:
        raise SdpError("the description has too many lines")
    if _CONTROL.search("".join(lines)):
        raise SdpError("the description has control characters")
    return [line.strip() for line in lines if line.strip()]


class _Reader:
    """Collects the lines of an offer."""

    def __init__(self) -> None:
        self._sections: list[MediaSection] = []
        self._section: MediaSection | None = None
        self._session: dict[str, str] = {}
        self._fingerprints: list[tuple[str, str]] = []

    def line(self, line: str) -> None:
        if line.startswith("m="):
            self._begin_section(line[2:].split())
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            self._attribute(name, value.strip())

    def offer(self) -> Offer:
        for section in self._sections:
            _complete(section)
        fragment, password = self._find("ice-ufrag"), self._find("ice-pwd")
        if not self._sections:
            raise SdpError("the offer has no media")
        if not _CREDENTIAL.match(fragment) or not _CREDENTIAL.match(password):
            raise SdpError("the offer has no ICE credentials")
        if not self._fingerprints:
            raise SdpError("the offer has no certificate fingerprint")
        if len(self._sections) > 1 and not self._session.get("group", "").startswith("BUNDLE"):
            raise SdpError("the offer has to bundle its media (a=group:BUNDLE)")
        return Offer(self._sections, fragment, password, self._fingerprints, self._find("setup") or "actpass")

    def _find(self, name: str) -> str:
        """An attribute of the session or, else, of the first section that has it."""
        values = (section.attributes[name] for section in self._sections if name in section.attributes)
        return self._session.get(name) or next(values, "")

    def _begin_section(self, fields: list[str]) -> None:
        port = _number(fields[1].partition("/")[0]) if len(fields) > 3 else -1
        if port < 0 or not _TOKEN.match(fields[0]):
            raise SdpError("malformed m= line")
        if len(self._sections) >= _MAX_SECTIONS:
            raise SdpError("the offer has too many media sections")
        types = [number for number in map(_number, fields[3 : 3 + _MAX_CODECS]) if 0 <= number < 128]
        self._section = MediaSection(fields[0], fields[2], types, port, " ".join(fields[3:]))
        self._sections.append(self._section)

    def _attribute(self, name: str, value: str) -> None:
        if name == "fingerprint":
            parts = value.split()
            if len(parts) == 2 and (parts[0], parts[1]) not in self._fingerprints:
                self._fingerprints.append((parts[0], parts[1]))
        elif self._section is None:
            self._session.setdefault(name, value)
        elif name in _DIRECTIONS:
            self._section.direction = name
        elif name in _SECTION_ATTRIBUTES:
            _SECTION_ATTRIBUTES[name](self._section, value)
        else:
            self._section.attributes.setdefault(name, value)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def _mid(section: MediaSection, value: str) -> None:
    if not _TOKEN.match(value):
        raise SdpError("malformed a=mid")
    section.mid = value


def _rtpmap(section: MediaSection, value: str) -> None:
    number, _, rest = value.partition(" ")
    name, *numbers = rest.strip().split("/")
    payload_type, rate = _number(number), _number(numbers[0]) if numbers else -1
    if payload_type in section.payload_types and rate > 0 and _TOKEN.match(name):
        channels = numbers[1] if len(numbers) > 1 and _number(numbers[1]) > 0 else ""
        section.codecs[payload_type] = Codec(payload_type, name.lower(), rate, channels)


def _fmtp(section: MediaSection, value: str) -> None:
    number, _, rest = value.partition(" ")
    pairs = (pair.partition("=") for pair in rest.split(";") if pair.strip())
    section.parameters[_number(number)] = {name.strip().lower(): content.strip() for name, _, content in pairs}


def _rtcp_fb(section: MediaSection, value: str) -> None:
    number, _, kind = value.partition(" ")
    payload_type = _ANY if number == "*" else _number(number)
    if payload_type == _ANY and number != "*":
        return
    section.feedback.setdefault(payload_type, set()).add(kind.strip().lower())


def _extmap(section: MediaSection, value: str) -> None:
    parts = value.split()
    number = _number(parts[0].partition("/")[0]) if parts else -1
    if len(parts) > 1 and 1 <= number <= 255:
        section.extensions[parts[1]] = number


def _simulcast(section: MediaSection, value: str) -> None:
    """`send h;m,m2;~l`: the first alternative of each layer."""
    words = value.split()
    if "send" not in words[:-1]:
        return
    layers = words[words.index("send") + 1].split(";")[:_MAX_RIDS]
    rids = [layer.partition(",")[0].lstrip("~") for layer in layers]
    section.rids = [rid for rid in dict.fromkeys(rids) if _TOKEN.match(rid)]


_SECTION_ATTRIBUTES = {
    "mid": _mid,
    "rtpmap": _rtpmap,
    "fmtp": _fmtp,
    "rtcp-fb": _rtcp_fb,
    "extmap": _extmap,
    "simulcast": _simulcast,
}


def _complete(section: MediaSection) -> None:
    """Joins what stood on separate lines."""
    for payload_type, parameters in section.parameters.items():
        codec = section.codecs.get(payload_type)
        if codec is not None:
            codec.parameters = parameters
    for codec in section.codecs.values():
        original = section.codecs.get(_number(codec.parameters.get("apt", "")))
        if codec.name == "rtx" and original is not None:
            original.rtx = codec.payload_type
