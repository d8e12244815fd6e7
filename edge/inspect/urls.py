"""URLs that a stranger's playlist names. Nothing here raises, whatever they are."""

from urllib.parse import urljoin, urlsplit

NOWHERE = "http://invalid.invalid/"


def join(base: str, uri: str) -> str:
    """`uri` resolved against a playlist's URL; one that cannot be resolved leads nowhere."""
    try:
        joined = urljoin(base, uri)
        urlsplit(joined)
    except ValueError:
        return NOWHERE
    return joined if joined.startswith(("http://", "https://")) and joined.isprintable() else NOWHERE


def plain(url: str) -> str:
    """A URL without its query."""
    return url.partition("#")[0].partition("?")[0]


def is_relative(uri: str) -> bool:
    """Whether a reference is one to a neighbour: no scheme, no host, no path from the root."""
    return bool(uri) and not uri.startswith("/") and ":" not in plain(uri).partition("/")[0]


def extension(uri: str) -> str:
    """What follows the last point of the path, in lower case."""
    return plain(uri).rpartition("/")[2].rpartition(".")[2].lower()
