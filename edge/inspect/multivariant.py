"""A multivariant playlist as it is, right or wrong."""

import dataclasses

from edge.inspect.lines import Line, Problem, attributes, read_lines
from edge.inspect.playlist import Tag


@dataclasses.dataclass(slots=True)
class VariantLine:
    """EXT-X-STREAM-INF and its URI."""

    line: Line
    values: dict[str, str]
    uri: str

    @property
    def codecs(self) -> list[str]:
        """The formats of CODECS."""
        return [one.strip() for one in self.values.get("CODECS", "").split(",") if one.strip()]

    @property
    def bandwidth(self) -> int:
        """BANDWIDTH, 0 when it is absent or malformed."""
        return number(self.values.get("BANDWIDTH", ""))

    @property
    def size(self) -> tuple[int, int] | None:
        """RESOLUTION."""
        width, _, height = self.values.get("RESOLUTION", "").partition("x")
        return (number(width), number(height)) if number(width) and number(height) else None

    @property
    def has_video(self) -> bool:
        """Whether it says or suggests that it has pictures."""
        return "RESOLUTION" in self.values or any(is_video(codec) for codec in self.codecs) or not self.codecs


@dataclasses.dataclass(slots=True)
class MultivariantText:
    """A multivariant playlist."""

    tags: set[str] = dataclasses.field(default_factory=set)
    variants: list[VariantLine] = dataclasses.field(default_factory=list)
    media: list[Tag] = dataclasses.field(default_factory=list)
    iframes: list[Tag] = dataclasses.field(default_factory=list)
    steering: Tag | None = None
    problems: list[Problem] = dataclasses.field(default_factory=list)


def number(text: str) -> int:
    """A decimal number, 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def is_video(codec: str) -> bool:
    """Whether a format is one of pictures."""
    return codec[:4] in ("avc1", "avc3", "hvc1", "hev1", "av01", "vp08", "vp09", "dvh1", "dvhe", "dav1")


def is_multivariant(data: bytes) -> bool:
    """Whether a playlist lists variants and not segments."""
    return b"#EXT-X-STREAM-INF" in data and b"#EXTINF" not in data


def read_multivariant(data: bytes) -> MultivariantText:
    """Reads a multivariant playlist, whatever it is; problems are in it."""
    made = MultivariantText()
    lines, problems = read_lines(data)
    made.problems.extend(problems)
    pending: Tag | None = None
    for line in lines:
        made.tags.add(line.tag)
        if pending is not None:
            if line.tag:
                made.problems.append(Problem(line.number, "EXT-X-STREAM-INF is not followed by its URI"))
            else:
                made.variants.append(VariantLine(pending.line, pending.values, line.value))
            pending = None
        elif not line.tag:
            made.problems.append(Problem(line.number, "a URI without EXT-X-STREAM-INF"))
        if line.tag == "#EXT-X-STREAM-INF":
            pending = Tag(line, attributes(line, made.problems))
        else:
            _take(made, line)
    if pending is not None:
        made.problems.append(Problem(pending.line.number, "EXT-X-STREAM-INF without a URI"))
    return made


def _take(made: MultivariantText, line: Line) -> None:
    match line.tag:
        case "#EXT-X-MEDIA":
            made.media.append(Tag(line, attributes(line, made.problems)))
        case "#EXT-X-I-FRAME-STREAM-INF":
            made.iframes.append(Tag(line, attributes(line, made.problems)))
        case "#EXT-X-CONTENT-STEERING":
            made.steering = Tag(line, attributes(line, made.problems))
        case "#EXTINF" | "#EXT-X-TARGETDURATION" | "#EXT-X-PART":
            made.problems.append(Problem(line.number, f"{line.tag} in a multivariant playlist"))
