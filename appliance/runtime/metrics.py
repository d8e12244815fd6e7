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


def histogram(name: str, doc: str, buckets: Sequence[float], labels: Sequence[str] = ()) -> Histogram:
    """A distribution; `buckets` in the unit of the name."""
    return Histogram(name, doc, labels, buckets=tuple(buckets))
