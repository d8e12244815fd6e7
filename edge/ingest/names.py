"""Names of renditions that the encoder contributes."""

from collections.abc import Container
from string import ascii_lowercase

from edge.protocols.codecs.picture import Picture


def track_name(picture: Picture, taken: Container[str]) -> str:
    """After the short side, as the ladder's rungs are: "720p", then "720pb" and on when that is taken."""
    name = f"{min(picture.width, picture.height)}p"
    if name not in taken:
        return name
    return next(name + letter for letter in ascii_lowercase[1:] if name + letter not in taken)
