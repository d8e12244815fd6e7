"""GAP segments for the time between two sessions of a broadcast, the same msns in every rendition."""

from typing import Final

from appliance.contracts.media import VIDEO_TIMESCALE
from edge.ingest.rendition import Append, RenditionOutput, ResumePoint
from edge.media.segmenter import Chunk, Segmenter

MIN_HOLE_US: Final = 100_000
SMALL: Final = VIDEO_TIMESCALE * MIN_HOLE_US // 1_000_000  # ticks: what is shorter has no segment of its own


def follow_holes(
    holes: list[Chunk], until: int, point: ResumePoint, segmenter: Segmenter, output: RenditionOutput, now_us: int
) -> list[Append]:
    """Fills a rendition's hole as the source's `holes` are. `until` is where media goes on, 90 kHz.

    The rendition may have ended some segments before the source: the time up to the first hole is filled too.
    """
    scale = output.timescale
    starts = {chunk.msn: max(chunk.dts * scale // VIDEO_TIMESCALE, point.end_dts) for chunk in holes}
    end = until * scale // VIDEO_TIMESCALE
    output.move_use(holes[-1].msn + 1)
    out: list[Append] = []
    dts = point.end_dts
    for msn in range(point.header.msn + 1, holes[-1].msn + 1):
        following = end if msn == holes[-1].msn else starts[holes[0].msn]
        stop = max(starts.get(msn + 1, following), dts)
        pdt_us = point.end_pdt_us + (dts - point.end_dts) * 1_000_000 // scale
        chunk = segmenter.gap_segment(msn, dts, stop - dts, pdt_us=pdt_us)
        out.append(output.append(chunk, late_us=now_us))
        dts = stop
    return out
