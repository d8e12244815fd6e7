"""Every engine by its name."""

from collections.abc import Iterable

from edge.transcode.engines.lineup import Candidate
from edge.transcode.engines.x264 import X264

ENGINES = {"x264": X264}


def candidates(names: Iterable[str]) -> list[Candidate]:
    """The engines of these names, in this order."""
    return [Candidate(name, ENGINES[name]) for name in names]
