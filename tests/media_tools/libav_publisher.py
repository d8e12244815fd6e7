"""`python -m tests.media_tools.libav_publisher CLIP URL [OPTION=VALUE ...]`: copies a file as fast as it plays.

To RTMP, or to WHIP where the muxer is given options.
"""

import sys
import time
from collections.abc import Iterable, Iterator

import av
from av.packet import Packet


def publish(path: str, url: str, *given: str) -> None:
    """Every stream of the file, each packet when its time has come."""
    form, options = "whip" if given else "flv", dict(one.split("=", 1) for one in given)
    with av.open(path) as source, av.open(url, "w", format=form, options=options) as output:
        copies = {stream.index: output.add_stream_from_template(stream, opaque=True) for stream in source.streams}
        began = time.monotonic()
        for packet in _decodable(source.demux()):
            at = float(packet.dts * packet.time_base)
            time.sleep(max(0.0, began + at - time.monotonic()))
            packet.stream = copies[packet.stream.index]
            output.mux(packet)


def _decodable(packets: Iterable[Packet]) -> Iterator[Packet]:
    """Each with the time at which it is decoded. Matroska has none of the first where pictures are reordered."""
    early: dict[int, list[Packet]] = {}
    for packet in packets:
        if not packet.size:
            continue
        waiting = early.setdefault(packet.stream.index, [])
        if packet.dts is None:
            waiting.append(packet)
            continue
        for before, first in enumerate(waiting):
            first.dts = packet.dts - (len(waiting) - before) * (packet.duration or 1)
            yield first
        waiting.clear()
        yield packet


if __name__ == "__main__":
    publish(*sys.argv[1:])
