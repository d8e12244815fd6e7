"""FourCCs and the numbers that came before them."""

from typing import Final

AVC: Final = "avc1"
HEVC: Final = "hvc1"
VVC: Final = "vvc1"
AV1: Final = "av01"
VP8: Final = "vp08"
VP9: Final = "vp09"
AAC: Final = "mp4a"
OPUS: Final = "Opus"
FLAC: Final = "fLaC"
AC3: Final = "ac-3"
EAC3: Final = "ec-3"
MP3: Final = ".mp3"

LEGACY_VIDEO: Final = {
    2: "Sorenson H.263", 3: "Screen video", 4: "VP6", 5: "VP6 with alpha", 6: "Screen video 2",
    7: AVC, 12: HEVC, 13: AV1, 14: VVC,
}  # fmt: skip
LEGACY_AUDIO: Final = {
    0: "PCM", 1: "ADPCM", 2: MP3, 3: "PCM", 4: "Nellymoser", 5: "Nellymoser", 6: "Nellymoser",
    7: "G.711", 8: "G.711", 10: AAC, 11: "Speex", 13: OPUS, 14: MP3,
}  # fmt: skip
_SPOKEN: Final = {
    AVC: "H.264", HEVC: "HEVC", VVC: "VVC", AV1: "AV1", VP8: "VP8", VP9: "VP9", AAC: "AAC", OPUS: "Opus",
    FLAC: "FLAC", AC3: "AC-3", EAC3: "E-AC-3", MP3: "MP3",
}  # fmt: skip
_BY_LOWER: Final = {code.lower(): code for code in _SPOKEN} | {"hev1": HEVC, "avc3": AVC, "vvi1": VVC}
_HEVC_RECORD_BYTES: Final = 23


def canonical(code: bytes) -> str:
    """A FourCC in the one spelling that is used here: any case, "hev1" as "hvc1"."""
    text = "".join(chr(letter) if 32 <= letter < 127 else "?" for letter in code)
    return _BY_LOWER.get(text.lower(), text)


def spoken(codec: str) -> str:
    """What people call a codec."""
    return _SPOKEN.get(codec, codec)


def is_hevc_record(data: bytes) -> bool:
    """Whether a configuration in an AVC tag is HEVC's: older forks of encoders send it so.

    Byte 5 of avcC is 111 and a count of sequence parameter sets; hvcC has profile constraints there and its
    arrays of VPS, SPS or PPS from byte 23 on.
    """
    if len(data) <= _HEVC_RECORD_BYTES or data[0] > 1 or not data[22]:
        return False
    reserved = data[13] >> 4 == 0x0F and data[15] >> 2 == 0x3F and data[16] >> 2 == 0x3F
    return reserved and data[_HEVC_RECORD_BYTES] & 0x3F in (32, 33, 34)
