"""When segments and parts come."""

from edge.inspect.observations import Exchange, Note
from edge.inspect.playlist import MediaText

MICRO = 1_000_000
_HELD_S = 0.03  # an answer that took so long was waited for
_JITTER_S = 0.25


class Cadence:
    """Times between additions to a playlist, no longer than they certainly were.

    An answer that was held came when there was something; one that came at once may have been there since
    the answer before it, which did not have it.

    Of parts 8216bis, 6.2.1, says that a server must add one "within one Part Target Duration after it added the
    previous", and has no exception for a source that has stopped: it would have to add GAP parts. One more part
    target is allowed for the network. What came then is told, since a source that sends nothing is no slow server.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}
        self._last_answer = 0.0
        self._limits: dict[str, float] = {}
        self._over = False

    def observe(self, text: MediaText, exchange: Exchange, note: Note) -> None:
        """Takes the next playlist of a rendition."""
        if text.ended:
            self._over = True
            return
        self._limits = {"CADENCE-SEG": 1.5 * (text.target_s or 0) + _JITTER_S}
        edges = {"CADENCE-SEG": (len(text.whole) + text.media_sequence + text.skipped, 0)}
        if text.low_latency and any(True for _ in text.parts()):
            target_s = (text.part_target_us or 0) / MICRO
            self._limits["CADENCE-PART"] = target_s + max(_JITTER_S, target_s)
            edges["CADENCE-PART"] = text.edge
        came = exchange.ended if was_held(exchange) else max(self._last_answer, 0.0)
        for name, edge in edges.items():
            before = self._seen.get(name)
            if before is not None and edge <= before[0]:
                continue
            if before is not None:
                self._judge(name, came - before[1], note, _then(text, before[0]) if name == "CADENCE-PART" else "")
            self._seen[name] = edge, exchange.ended
        self._last_answer = exchange.ended

    def finish(self, note: Note) -> None:
        """The watch is over: what the last answer did not have is late if it is so already."""
        if not self._over:
            for name, (_, at) in self._seen.items():
                self._judge(name, self._last_answer - at, note, ", and nothing since")

    def _judge(self, name: str, took: float, note: Note, then: str) -> None:
        if name in self._limits and took > self._limits[name]:
            note(name, 0, f"{took:.2f} s, at most {self._limits[name]:.2f} s{then}")


def was_held(exchange: Exchange) -> bool:
    """Whether the playlist was waited for, so that it came when it was made."""
    return exchange.took > _HELD_S and "_HLS_msn=" in exchange.url


def _then(text: MediaText, edge: tuple[int, int]) -> str:
    """What the first part from `edge` on is."""
    part = next((part for segment, index, part in text.parts() if (segment.msn, index) >= edge), None)
    return ", then a gap" if part is not None and part.gap else ""
