"""A multivariant playlist as a value (section 4.4.6), rendered and parsed."""

import dataclasses
import re

from edge.protocols.hls.errors import PlaylistError
from edge.protocols.hls.tags import lines_of, need, parse_attributes, parse_integer, quoted

_RATE = re.compile(r"\d{1,4}\.\d{3}\Z", re.ASCII)
_CAPTIONS, _CAPTIONS_TYPE = "captions", "CLOSED-CAPTIONS"
_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})\Z", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class AudioRendition:
    """EXT-X-MEDIA of TYPE=AUDIO."""

    uri: str
    group: str
    name: str
    language: str = "und"
    channels: int = 2
    default: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Variant:
    """EXT-X-STREAM-INF and its URI. `frame_rate_milli` is frames per 1000 s, 0 unknown."""

    uri: str
    bandwidth: int
    average_bandwidth: int
    codecs: str
    resolution: tuple[int, int] | None = None
    frame_rate_milli: int = 0
    audio: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class IFrameVariant:
    """EXT-X-I-FRAME-STREAM-INF."""

    uri: str
    bandwidth: int
    average_bandwidth: int
    codecs: str
    resolution: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class MultivariantPlaylist:
    """A multivariant playlist; the first variant is what a player starts with."""

    variants: tuple[Variant, ...]
    audio: tuple[AudioRendition, ...] = ()
    version: int = 6
    i_frames: tuple[IFrameVariant, ...] = ()
    captions: bool = False  # CEA-608, channel 1, in the pictures


def render(playlist: MultivariantPlaylist) -> bytes:
    """The playlist's text in UTF-8. Every segment of ours begins with a key frame, and it says so."""
    out = ["#EXTM3U", f"#EXT-X-VERSION:{playlist.version}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for media in playlist.audio:
        default = "YES" if media.default else "NO"
        out.append(
            f"#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID={quoted(media.group)},LANGUAGE={quoted(media.language)},"
            f"NAME={quoted(media.name)},DEFAULT={default},AUTOSELECT=YES,"
            f"CHANNELS={quoted(str(media.channels))},URI={quoted(media.uri)}"
        )
    if playlist.captions:
        out.append(
            f"#EXT-X-MEDIA:TYPE={_CAPTIONS_TYPE},GROUP-ID={quoted(_CAPTIONS)},NAME={quoted('Captions')},"
            f"DEFAULT=NO,AUTOSELECT=YES,INSTREAM-ID={quoted('CC1')}"
        )
    captions = quoted(_CAPTIONS) if playlist.captions else "NONE"
    for variant in playlist.variants:
        out.append(f"{_stream_inf(variant)},CLOSED-CAPTIONS={captions}")
        out.append(variant.uri)
    out += [_i_frame_stream_inf(variant) for variant in playlist.i_frames]
    out.append("")
    return "\n".join(out).encode()


def _stream_inf(variant: Variant) -> str:
    line = (
        f"#EXT-X-STREAM-INF:BANDWIDTH={variant.bandwidth},AVERAGE-BANDWIDTH={variant.average_bandwidth},"
        f"CODECS={quoted(variant.codecs)}"
    )
    line += _size(variant.resolution)
    if variant.frame_rate_milli:
        line += f",FRAME-RATE={variant.frame_rate_milli // 1000}.{variant.frame_rate_milli % 1000:03d}"
    if variant.audio:
        line += f",AUDIO={quoted(variant.audio)}"
    return line


def _i_frame_stream_inf(variant: IFrameVariant) -> str:
    return (
        f"#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={variant.bandwidth},AVERAGE-BANDWIDTH={variant.average_bandwidth},"
        f"CODECS={quoted(variant.codecs)}{_size(variant.resolution)},URI={quoted(variant.uri)}"
    )


def _size(resolution: tuple[int, int] | None) -> str:
    return f",RESOLUTION={resolution[0]}x{resolution[1]}" if resolution is not None else ""


def parse(data: bytes) -> MultivariantPlaylist:
    """Reads a multivariant playlist; unknown tags are ignored. Raises PlaylistError when malformed."""
    variants: list[Variant] = []
    audio: list[AudioRendition] = []
    i_frames: list[IFrameVariant] = []
    version = 1
    captions = False
    pending: dict[str, str] | None = None
    for line in lines_of(data):
        name, _, value = line.partition(":")
        if pending is not None:
            if line.startswith("#"):
                raise PlaylistError("EXT-X-STREAM-INF without a URI")
            variants.append(_variant(line, pending))
            pending = None
        elif not line.startswith("#"):
            raise PlaylistError("a URI without EXT-X-STREAM-INF")
        elif name == "#EXT-X-VERSION":
            version = parse_integer(value)
        elif name == "#EXT-X-STREAM-INF":
            pending = parse_attributes(value)
        elif name == "#EXT-X-MEDIA":
            attributes = parse_attributes(value)
            audio.extend(_audio(attributes))
            captions = captions or attributes.get("TYPE") == _CAPTIONS_TYPE
        elif name == "#EXT-X-I-FRAME-STREAM-INF":
            i_frames.append(_i_frames(parse_attributes(value)))
    if pending is not None:
        raise PlaylistError("EXT-X-STREAM-INF without a URI")
    return MultivariantPlaylist(tuple(variants), tuple(audio), version, tuple(i_frames), captions)


def _i_frames(attributes: dict[str, str]) -> IFrameVariant:
    bandwidth = parse_integer(need(attributes, "BANDWIDTH"))
    return IFrameVariant(
        need(attributes, "URI"),
        bandwidth,
        parse_integer(attributes.get("AVERAGE-BANDWIDTH", str(bandwidth))),
        attributes.get("CODECS", ""),
        _resolution(attributes),
    )


def _resolution(attributes: dict[str, str]) -> tuple[int, int] | None:
    if "RESOLUTION" not in attributes:
        return None
    size = _SIZE.match(attributes["RESOLUTION"])
    if size is None:
        raise PlaylistError("malformed RESOLUTION")
    return int(size[1]), int(size[2])


def _variant(uri: str, attributes: dict[str, str]) -> Variant:
    rate = attributes.get("FRAME-RATE", "0.000")
    if not _RATE.match(rate):
        raise PlaylistError("FRAME-RATE without three decimals")
    bandwidth = parse_integer(need(attributes, "BANDWIDTH"))
    return Variant(
        uri,
        bandwidth,
        parse_integer(attributes.get("AVERAGE-BANDWIDTH", str(bandwidth))),
        attributes.get("CODECS", ""),
        _resolution(attributes),
        int(rate.replace(".", "")),
        attributes.get("AUDIO", ""),
    )


def _audio(attributes: dict[str, str]) -> list[AudioRendition]:
    if attributes.get("TYPE") != "AUDIO" or "URI" not in attributes:
        return []
    return [
        AudioRendition(
            attributes["URI"],
            need(attributes, "GROUP-ID"),
            need(attributes, "NAME"),
            attributes.get("LANGUAGE", "und"),
            parse_integer(attributes.get("CHANNELS", "2").partition("/")[0]),
            attributes.get("DEFAULT") == "YES",
        )
    ]
