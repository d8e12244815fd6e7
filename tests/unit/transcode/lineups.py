"""Engines of the tests' rungs."""

from collections.abc import Sequence

from edge.media.ladder import Rung
from edge.transcode.engines.base import RungFormat
from edge.transcode.engines.catalogue import candidates
from edge.transcode.engines.lineup import Candidate, Lineup


def lineup_of(rung: Rung, engines: Sequence[Candidate], preset: str = "ultrafast") -> Lineup:
    """A rung's line-up."""
    return Lineup(RungFormat(rung.width, rung.height, rung.bit_rate, rung.frame_rate, preset), engines)


def x264_lineup(rung: Rung, preset: str = "ultrafast") -> Lineup:
    """Nothing but x264."""
    return lineup_of(rung, candidates(["x264"]), preset)
