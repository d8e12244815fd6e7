"""Frames of a WebRTC publisher as the events of an RTMP connection: tag bodies with stamps, a track per layer."""

import heapq
from collections.abc import Sequence
from typing import Final, NamedTuple

from edge.ingest.whip.formats import FORMATS, Stored, VideoFormat
from edge.protocols.codecs import opus
from edge.protocols.codecs.bits import CodecError
from edge.protocols.flv import TagKind, audio_tag, video_tag
from edge.protocols.rtmp import AudioData, VideoData
from edge.protocols.webrtc.depayload.opus import silence_like
from edge.protocols.webrtc.receiver import MediaFrame

_BEFORE_S: Final = 1.0  # the first stamp, so that nothing that belongs before it becomes negative
_LAYERS_S: Final = 1.5  # wait for the layers of a simulcast before the highest is chosen
_HELD_BYTES: Final = 16 << 20
_OPUS_RATE: Final = 48_000
_SILENCE: Final = 960  # samples of a packet of silence
_MOST_SILENCE: Final = _OPUS_RATE
_MOST_REORDER: Final = 4
_MS_NS: Final = 1_000_000


class _Item(NamedTuple):
    """A converted frame waiting for its track number. `stored` None: sound."""

    rid: str
    fourcc: str
    stored: Stored | None
    packet: bytes
    time_ns: int


class DecodeClock:
    """Decode times for frames that come in decode order and say when they are shown. Nanoseconds.

    Without B-frames both are the same. A frame shown before its predecessor makes the decode times lag by
    one more frame, without holding anything back.
    """

    def __init__(self) -> None:
        self._shown: list[int] = []
        self._depth = 0
        self._last: int | None = None

    def place(self, shown_ns: int) -> int:
        """The decode time of the next frame: later than the one before."""
        heapq.heappush(self._shown, shown_ns)
        if self._last is not None and shown_ns <= self._last and self._depth < _MOST_REORDER:
            self._depth += 1
        decode_ns = heapq.heappop(self._shown) if len(self._shown) > self._depth else None
        least = self._last + _MS_NS if self._last is not None else shown_ns
        if decode_ns is None or (self._last is not None and decode_ns <= self._last):
            decode_ns = least
        self._last = decode_ns
        return decode_ns


class _Layer:
    """One video track."""

    def __init__(self, codec: str) -> None:
        self.format: VideoFormat = FORMATS[codec]()
        self.clock = DecodeClock()
        self.sent_config = b""
        self.area = 0


class Tagger:
    """`take` frames, get events. With simulcast the highest layer is track 0, the others follow by size."""

    def __init__(self, rids: Sequence[str] = ()) -> None:
        """`rids` are the layers of a simulcast in the order of the offer."""
        self.damaged = 0
        self._rids = list(rids)
        self._layers: dict[str, _Layer] = {}
        self._tracks: dict[str, int] = {}
        self._waiting: list[_Item] | None = [] if len(rids) > 1 else None
        self._waiting_bytes = 0
        self._origin_s: float | None = None
        self._sound_configured = False
        self._next_sound = -1  # RTP time at which the last packet ends

    def take(self, frame: MediaFrame) -> list[VideoData | AudioData]:
        """The events of a frame, in the order in which they are to be offered."""
        if self._origin_s is None:
            self._origin_s = frame.time_s - _BEFORE_S
        time_ns = max(0, round((frame.time_s - self._origin_s) * 1e9))
        try:
            items = self._sound(frame, time_ns) if frame.kind == "audio" else self._picture(frame, time_ns)
        except CodecError:
            self.damaged += 1
            return []
        if self._waiting is not None:
            return self._wait(items)
        return [event for item in items for event in self._events(item)]

    # --- sound

    def _sound(self, frame: MediaFrame, time_ns: int) -> list[_Item]:
        """The packet, behind silence where the sender sent nothing or it was lost."""
        packet = frame.frame.pieces[0]
        samples = opus.packet_samples(packet)
        hole = (frame.frame.timestamp - self._next_sound) % (1 << 32) if self._next_sound >= 0 else 0
        self._next_sound = (frame.frame.timestamp + samples) % (1 << 32)
        missing = hole // _SILENCE if hole <= _MOST_SILENCE else 0
        silence = silence_like(packet)
        items = [
            _Item("", "Opus", None, silence, time_ns - (hole - _SILENCE * number) * 1_000_000_000 // _OPUS_RATE)
            for number in range(missing)
        ]
        return [*items, _Item("", "Opus", None, packet, time_ns)]

    # --- pictures

    def _picture(self, frame: MediaFrame, time_ns: int) -> list[_Item]:
        layer = self._layers.get(frame.rid)
        if layer is None:
            layer = self._layers[frame.rid] = _Layer(frame.codec)
        stored = layer.format.convert(frame.frame)
        if stored is None:
            return []
        layer.area = max(layer.area, stored.area)
        return [_Item(frame.rid, layer.format.fourcc, stored, b"", time_ns)]

    def _wait(self, items: list[_Item]) -> list[VideoData | AudioData]:
        """Holds everything until it is clear which layer is the highest."""
        waiting = self._waiting
        if waiting is None:
            return []
        waiting += items
        self._waiting_bytes += sum(len(item.stored.data) if item.stored else len(item.packet) for item in items)
        arrived = [rid for rid in self._rids if rid in self._layers and self._layers[rid].area]
        waited_ns = waiting[-1].time_ns - waiting[0].time_ns if waiting else 0
        late = waited_ns > _LAYERS_S * 1e9 or self._waiting_bytes > _HELD_BYTES
        if len(arrived) < len(self._rids) and not (late and arrived):
            return []
        arrived.sort(key=lambda rid: -self._layers[rid].area)  # equal ones stay in the offer's order
        self._tracks = {rid: track for track, rid in enumerate(arrived)}
        self._waiting = None
        return self._configurations(waiting) + [event for item in waiting for event in self._events(item)]

    def _configurations(self, waiting: list[_Item]) -> list[VideoData | AudioData]:
        """Those of all layers come before any frame: who reads the events looks no further than the first."""
        events: list[VideoData | AudioData] = []
        firsts = {item.rid: item.stored for item in reversed(waiting) if item.stored is not None}
        for rid, track in self._tracks.items():
            stored = firsts.get(rid)
            if stored is not None:
                events.append(_configuration(self._layers[rid], stored.config, waiting[0].time_ns, track))
        return events

    # --- events

    def _events(self, item: _Item) -> list[VideoData | AudioData]:
        if item.stored is None:
            return self._sound_events(item)
        track = self._tracks.setdefault(item.rid, len(self._tracks))
        layer = self._layers[item.rid]
        decode_ns = layer.clock.place(item.time_ns)
        stamp, nano = _stamp(decode_ns)
        events: list[VideoData | AudioData] = []
        if item.stored.config != layer.sent_config:
            events.append(_configuration(layer, item.stored.config, decode_ns, track))
        cts_ms = round((item.time_ns - decode_ns) / _MS_NS)
        body = video_tag(
            item.fourcc,
            TagKind.FRAME,
            key=item.stored.key,
            cts_ms=cts_ms,
            nano=nano,
            track=track,
            data=item.stored.data,
        )
        return [*events, VideoData(stamp, body)]

    def _sound_events(self, item: _Item) -> list[VideoData | AudioData]:
        stamp, nano = _stamp(max(0, item.time_ns))
        frame = AudioData(stamp, audio_tag("Opus", TagKind.FRAME, nano=nano, data=item.packet))
        if self._sound_configured:
            return [frame]
        self._sound_configured = True
        # RTP has no channel count but the packets': a decoder set up for two takes mono packets too
        config = audio_tag("Opus", TagKind.CONFIG, nano=nano, data=opus.config(2))
        return [AudioData(stamp, config), frame]


def _stamp(time_ns: int) -> tuple[int, int]:
    """A 32-bit millisecond stamp and the nanoseconds behind it."""
    return (time_ns // _MS_NS) & 0xFFFFFFFF, time_ns % _MS_NS


def _configuration(layer: _Layer, config: bytes, time_ns: int, track: int) -> VideoData:
    """The tag that says what decodes a layer from here on."""
    layer.sent_config = config
    stamp, nano = _stamp(max(0, time_ns))
    body = video_tag(layer.format.fourcc, TagKind.CONFIG, key=True, nano=nano, track=track, data=config)
    return VideoData(stamp, body)
