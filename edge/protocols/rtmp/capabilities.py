"""What both sides say in the connect command about codecs and extensions (Enhanced RTMP v2, "Enhancing
NetConnection connect Command")."""

import enum
from collections.abc import Mapping
from typing import NamedTuple

from edge.protocols.amf import AmfValue

VIDEO_CODECS = ("avc1", "hvc1", "av01", "vp09", "vp08")
AUDIO_CODECS = ("mp4a", "Opus", "fLaC", "ac-3", "ec-3", ".mp3")

_CAN_DECODE, _CAN_FORWARD = 1, 4
_ANY = "*"
_KNOWN = {code.lower(): code for code in (*VIDEO_CODECS, *AUDIO_CODECS, "vvc1")}
_MAX_CODECS = 64


class CapsEx(enum.IntFlag):
    """CapsExMask."""

    NONE = 0
    RECONNECT = 1
    MULTITRACK = 2
    MOD_EX = 4
    TIMESTAMP_NANO_OFFSET = 8


OURS = CapsEx.RECONNECT | CapsEx.MULTITRACK | CapsEx.MOD_EX | CapsEx.TIMESTAMP_NANO_OFFSET


class Capabilities(NamedTuple):
    """The peer's. `enhanced`: it said anything of this kind. `codecs` may be ("*",), all it can think of."""

    enhanced: bool
    codecs: tuple[str, ...]
    caps_ex: CapsEx


def read_capabilities(arguments: Mapping[str, AmfValue]) -> Capabilities:
    """Of the connect command's object, names in lower case. FourCCs in any case become the usual spelling."""
    found: dict[str, None] = {}
    listed = arguments.get("fourcclist")
    maps = [arguments.get("videofourccinfomap"), arguments.get("audiofourccinfomap")]
    names = list(listed) if isinstance(listed, list) else []
    for one in maps:
        names += list(one) if isinstance(one, dict) else []
    for name in names[:_MAX_CODECS]:
        if isinstance(name, str) and name:
            found[_KNOWN.get(name.lower(), name[:4])] = None
    caps = arguments.get("capsex")
    number = int(caps) if isinstance(caps, float) and 0 <= caps < 1 << 32 else 0
    enhanced = bool(found) or "capsex" in arguments or "fourcclist" in arguments
    codecs = (_ANY,) if _ANY in found else tuple(found)
    return Capabilities(enhanced, codecs, CapsEx(number & 0xFF))


def our_capabilities() -> dict[str, AmfValue]:
    """What goes into the answer: the codecs that are really taken, and every extension that works here."""
    take = float(_CAN_DECODE | _CAN_FORWARD)
    video: dict[str, AmfValue] = {code: take if code != "vp08" else float(_CAN_DECODE) for code in VIDEO_CODECS}
    return {
        "fourCcList": [*VIDEO_CODECS, *AUDIO_CODECS],
        "videoFourCcInfoMap": video,
        "audioFourCcInfoMap": dict.fromkeys(AUDIO_CODECS, take),
        "capsEx": float(OURS),
    }
