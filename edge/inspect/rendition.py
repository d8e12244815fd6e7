"""What is known of one rendition: its last playlist, when what came, and its media. Everything is bounded."""

import collections
from collections.abc import Mapping
from typing import Any, TypeVar

from edge.inspect.mp4 import Media, TrackInit
from edge.inspect.observations import Exchange, Note
from edge.inspect.playlist import MediaText, PartLine, SegmentLine
from edge.inspect.rules.across import Seen
from edge.inspect.rules.sequence import Uris
from edge.inspect.rules.timing import Cadence, was_held
from edge.inspect.rules.variants import Size

SEGMENTS = 2_000  # of which facts are kept
PARTS = 4_000
HINTS = 4_000
EARLY = 8
_SAMPLES_OF = 4  # segments whose samples are kept, to be compared

Position = tuple[int, int]
_Key = TypeVar("_Key")


def _trim(known: dict[_Key, Any], most: int) -> None:
    while len(known) > most:
        del known[next(iter(known))]


class RenditionState:
    """One media playlist. `kind` is variant, audio, or another TYPE of EXT-X-MEDIA."""

    def __init__(self, url: str, kind: str) -> None:
        self.url = url
        self.kind = kind
        self.text: MediaText | None = None
        self.uris = Uris()
        self.cadence = Cadence()
        self.playlists = self.media_bytes = self.segments_read = self.parts_read = 0
        self.edges: collections.deque[tuple[float, Position]] = collections.deque(maxlen=512)
        self.came: dict[Position, float] = {}
        self.inits: dict[str, dict[int, TrackInit]] = {}
        self.init_bodies: dict[str, Exchange] = {}
        self.parts: dict[Position, Media] = {}
        self.listed: dict[str, tuple[int, int, PartLine, str]] = {}  # URI: msn, index, line, map
        self.hints: dict[str, Exchange] = {}  # answers by URI, without their bodies
        self.early: dict[str, Exchange] = {}  # hinted parts that are not listed yet
        self.last: tuple[SegmentLine, Media, Note] | None = None
        self.last_part: tuple[Position, PartLine, Media, dict[int, TrackInit], Note] | None = None
        self.seen: list[Seen] = []
        self.sizes: list[Size] = []
        self.vanished: collections.deque[tuple[str, float]] = collections.deque(maxlen=64)
        self.best_rate = 0.0

    @property
    def target_s(self) -> int:
        """The target duration, 0 unknown."""
        return self.text.target_s or 0 if self.text is not None else 0

    @property
    def part_target_us(self) -> int:
        """PART-TARGET, 0 unknown or none."""
        return self.text.part_target_us or 0 if self.text is not None else 0

    @property
    def tracks(self) -> Mapping[int, TrackInit]:
        """The tracks of the initialisation segment that was read last."""
        return next(reversed(self.inits.values()), {})

    def take(self, text: MediaText, at: float) -> None:
        """The next full playlist: notes what is new and what is gone."""
        before = self.text
        self.text = text
        self.playlists += 1
        self.edges.append((at, text.edge))
        for segment, index, part in text.parts():
            self.came.setdefault((segment.msn, index), at)
            if part.uri and not part.gap and not part.byterange:
                self.listed.setdefault(part.uri, (segment.msn, index, part, segment.map_uri))
        if before is not None:
            still = {part.uri for _, _, part in text.parts()}
            gone = [part.uri for _, _, part in before.parts() if part.uri not in still and not part.gap]
            self.vanished.extend((uri, at) for uri in gone)
        self._forget()

    def _forget(self) -> None:
        assert self.text is not None  # called by take alone
        oldest = self.text.edge[0] - _SAMPLES_OF
        for position in [position for position in self.parts if position[0] < oldest]:
            del self.parts[position]
        _trim(self.came, PARTS)
        _trim(self.listed, PARTS)
        _trim(self.hints, HINTS)
        _trim(self.early, EARLY)

    def made_at(self, edge: Position, exchange: Exchange) -> float:
        """At the earliest a playlist that came in this exchange, and goes up to `edge`, may have been made."""
        known = next((at for at, seen in self.edges if seen >= edge), None)
        if known is not None:
            return known
        return exchange.ended if was_held(exchange) or not self.edges else self.edges[-1][0]

    def went_to(self, before: float) -> Position | None:
        """The next part as the playlist last said it at a time."""
        found = None
        for at, edge in self.edges:
            if at <= before:
                found = edge
        return found
