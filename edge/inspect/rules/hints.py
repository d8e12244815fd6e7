"""Preload hints: requests for parts that are not there yet (8216bis, 6.2.6)."""

from edge.inspect.observations import Exchange, Note

MICRO = 1_000_000
_SLOWER = 5.0
_LEAST_S = 0.1


def judge_transfer(exchange: Exchange, part_target_us: int, best_rate: float, note: Note) -> None:
    """How a hinted part came. `best_rate`: the most bytes/s seen of complete media, 0 unknown."""
    if not exchange.ok:
        return
    took = exchange.ended - exchange.first
    quick = _SLOWER * len(exchange.body) / best_rate if best_rate else 0.0
    if took > max(_LEAST_S, part_target_us / MICRO / 3, quick):
        note("HINT-FULL-SPEED", 0, f"{len(exchange.body)} bytes in {took:.2f} s")
    if "content-length" not in exchange.headers:
        note("HINT-LENGTH", 0, "no Content-Length")


def judge_listed(exchange: Exchange, note: Note) -> None:
    """A hinted part that was then listed: the request for it must have been answered with it."""
    if not exchange.ok:
        note("HINT-GET", 0, exchange.outcome)


def judge_unknown(exchange: Exchange, target_s: int, note: Note) -> None:
    """A part that neither is nor was hinted."""
    if exchange.status not in (404, 410) or exchange.took > max(1.0, 0.5 * target_s):
        note("HINT-UNKNOWN", 0, exchange.outcome)
