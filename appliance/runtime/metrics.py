"""Prometheus metrics. Every process of a node writes to one folder; the supervisor serves the sum of all.

Names: nearcast_<role>_<what>_<unit>. Labels have few values: never a channel, an address or a key.
"""

from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram


def counter(name: str, doc: str, labels: Sequence[str] = ()) -> Counter:
    """A number that only grows."""
    return Counter(name, doc, labels)


def gauge(name: str, doc: str, labels: Sequence[str] = ()) -> Gauge:
    """A number of now; the sum over the living processes of the node."""
    return Gauge(name, doc, labels, multiprocess_mode="livesum")


class Tally:
    """What the hot path adds to a counter: a plain number, which its owner moves to the counter now and then.

    The counter itself writes to a file that all processes of the node share, each time.
    """

    def __init__(self, total: Counter) -> None:
        self._total = total
        self._count = 0

    def add(self, count: int = 1) -> None:
        """Counts."""
        self._count += count

    def flush(self) -> None:
        """What was added since the last call goes to the counter."""
        if self._count:
            self._total.inc(self._count)
            self._count = 0


def histogram(name: str, doc: str, buckets: Sequence[float], labels: Sequence[str] = ()) -> Histogram:
    """A distribution; `buckets` in the unit of the name."""
    return Histogram(name, doc, labels, buckets=tuple(buckets))
