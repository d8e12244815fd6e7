"""Clips with closed captions in their pictures (CEA-608 in ANSI/SCTE 128 user data), as OBS Studio sends them."""

from pathlib import Path

from edge.protocols.flv.file import AUDIO, VIDEO, file_tag
from tests.media_tools.clips import Clip

_HEADER, _TAG, _SIZE = 13, 11, 4
_EACH = 54  # pictures from one caption to the next
_BEGIN, _ROW, _SHOW, _NOTHING = b"\x94\x20", b"\x94\x70", b"\x94\x2f", b"\x80\x80"


def caption_sei(number: int) -> bytes:
    """The SEI message of a picture. Every `_EACH` pictures a caption of four letters begins: "ABCD", "EFGH"."""
    letters = [_odd(ord("A") + (4 * (number // _EACH) + index) % 24) for index in range(4)]
    pairs = [*(2 * [_BEGIN]), *(2 * [_ROW]), bytes(letters[:2]), bytes(letters[2:]), *(2 * [_SHOW])]
    place = number % _EACH
    pair = pairs[place] if place < len(pairs) else _NOTHING
    payload = b"\xb5\x00\x31GA94\x03\x41\xff\xfc" + pair + b"\xff"
    return b"\x06\x04" + bytes([len(payload)]) + payload + b"\x80"


def captioned(clip: Clip, path: Path) -> Clip:
    """The clip, H.264 in FLV, at `path`, with a caption every 1.8 s."""
    data, at, pictures = clip.path.read_bytes(), _HEADER, 0
    out = [data[:_HEADER]]
    while at + _TAG <= len(data):
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        stamp = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        body = data[at + _TAG : at + _TAG + size]
        if kind == VIDEO and body[1] == 1:
            sei = caption_sei(pictures)
            body = body[:5] + len(sei).to_bytes(4, "big") + sei + body[5:]
            pictures += 1
        if kind in (AUDIO, VIDEO):
            out.append(file_tag(kind, stamp, body))
        at += _TAG + size + _SIZE
    path.write_bytes(b"".join(out))
    return Clip(path, clip.seconds, clip.video, clip.audio)


def _odd(letter: int) -> int:
    """With its parity bit."""
    return letter if letter.bit_count() % 2 else letter | 0x80
