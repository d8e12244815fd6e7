"""A rendition that rests: its parts are gaps, and whoever asks for more of them is refused."""

import dataclasses
import re

from inspect_edits import answered
from inspect_origin import Exchange, Fault, Options, Origin
from inspect_run import inspected, told

from edge.protocols.hls.media import MediaPlaylist, Segment

BLOCKING = r"/low/.*_HLS_msn"
HELD_S = 0.05  # longer than an answer takes that is there


def _resting(origin: Origin, name: str, made: MediaPlaylist) -> MediaPlaylist:
    if name != "low":
        return made
    return dataclasses.replace(made, segments=tuple(_gap(segment) for segment in made.segments))


def _gap(segment: Segment) -> Segment:
    parts = tuple(dataclasses.replace(part, independent=False, gap=True) for part in segment.parts)
    return dataclasses.replace(segment, parts=parts, gap=bool(segment.uri))


def _fault(wanted: str) -> Fault:
    """Requests for what is not there yet are refused when they match `wanted`."""

    def matches(_: Origin, exchange: Exchange) -> bool:
        return exchange.status == 200 and exchange.took > HELD_S and re.search(wanted, exchange.url) is not None

    refused = {"content-encoding": "", "cache-control": "public, max-age=1"}
    answer = answered(BLOCKING, where=matches, status=400, body=b"no", encoding="", headers=refused)
    return Fault("BLOCK-ORDER", value=_resting, answer=answer, options=Options(two=True))


def test_a_rendition_that_rests_may_refuse_every_wording() -> None:
    result = inspected(_fault(r"_HLS_part"))
    assert not result.inspection.findings.names, told(result)
    assert any(state.playlists > 2 for url, state in result.inspection.renditions.items() if "/low/" in url)


def test_a_rendition_that_rests_may_not_refuse_one_wording_only() -> None:
    result = inspected(_fault(r"_HLS_part=.*_HLS_msn"))
    assert result.inspection.findings.names == {"BLOCK-ORDER"}, told(result)
