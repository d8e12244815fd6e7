"""Names of renditions that the encoder contributes."""

from collections.abc import Container, Iterator
from string import ascii_lowercase

from edge.protocols.codecs.picture import Picture


def possible_names(picture: Picture) -> Iterator[str]:
    """After the short side, as the ladder's rungs are: "720p", then "720pb" and on. "720pr" is a rung's."""
    plain = f"{min(picture.width, picture.height)}p"
    yield plain
    for letter in ascii_lowercase[1:]:
        if letter != "r":
            yield plain + letter


def track_name(picture: Picture, taken: Container[str]) -> str:
    """The first possible one that is not taken."""
    return next(name for name in possible_names(picture) if name not in taken)
