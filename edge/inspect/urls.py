"""URLs that a stranger's playlist names."""

from urllib.parse import urljoin

NOWHERE = "http://invalid.invalid/"


def join(base: str, uri: str) -> str:
    """`uri` resolved against a playlist's URL; one that cannot be resolved leads nowhere."""
    try:
        joined = urljoin(base, uri)
    except ValueError:
        return NOWHERE
    return joined if joined.startswith(("http://", "https://")) and joined.isprintable() else NOWHERE
