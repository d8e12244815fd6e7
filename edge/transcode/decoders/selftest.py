"""The self-test of zero copy, in the process that calls it: pictures that stay on the card from packet to packet.

Also what comes after a failure: pictures of the card for an encoder that takes them in system memory only.
"""

import time

import av.error
from av.video.frame import VideoFrame

from edge.transcode.decoders.bank import Bank
from edge.transcode.decoders.base import Card, CardError, Decoded, Wanted, video_packet
from edge.transcode.decoders.nvdec import NVDEC
from edge.transcode.engines.base import TIME_BASE, Encoded, EngineError
from edge.transcode.engines.choice import ZERO_COPY, SelfTest
from edge.transcode.engines.hardware import NVENC, HardwareEncoder, HardwareEngine
from edge.transcode.engines.scaler import in_memory
from edge.transcode.engines.selftest import DURATION, FORM, FRAMES, KEYS, MOST_LAG, look_at
from edge.transcode.engines.x264 import X264, open_x264
from edge.transcode.forms import VideoForm

_LARGE, _SMALL = "720p", "360p"
_FORMS = {_LARGE: FORM, _SMALL: FORM._replace(width=640, height=360, bit_rate=800_000)}
_NONE = {"tune": "zerolatency", "x264-params": "annexb=0:scenecut=0"}
_B_FRAMES = {"bf": "2", "x264-params": "annexb=0:scenecut=0:b-adapt=0:rc-lookahead=4:sync-lookahead=0"}
_DARK, _STEP, _TOLERANCE = 40, 15, 8  # levels of grey


class _Source:
    """Grey pictures, each lighter than the one before, as H.264, in the order that they are decoded in."""

    def __init__(self, *, reordered: bool) -> None:
        """`reordered`: with B-frames, as many encoders send them."""
        context = open_x264(FORM, {"preset": FORM.preset, **(_B_FRAMES if reordered else _NONE)})
        encoded = [packet for index in range(FRAMES) for packet in context.encode(_grey(index))]
        encoded += context.encode(None)
        self.packets = [
            video_packet(bytes(packet), packet.pts or 0, packet.dts or 0, key=packet.is_keyframe)
            for packet in encoded
        ]
        config = bytes(context.extradata or b"")
        self.form = VideoForm("h264", config, FORM.frame_rate, (1, 1), (FORM.width, FORM.height))


def zero_copy_test(card: Card = NVDEC, encoder: HardwareEncoder = NVENC) -> SelfTest:
    """Decodes, scales and encodes a few pictures. What is wrong is a value, as long as we live."""
    try:
        source = _Source(reordered=False)
        frames_per_s = _ladder(card, encoder, source, 2 * MOST_LAG)  # of a decoder and an encoder
        _ladder(card, encoder, _Source(reordered=True), FRAMES)
        for on_card in (True, False):
            _into_memory(card, source, on_card=on_card)
    except (CardError, EngineError) as error:
        return SelfTest(engine=ZERO_COPY, usable=False, reason=error.detail)
    except av.error.FFmpegError as error:
        return SelfTest(engine=ZERO_COPY, usable=False, reason=f"pictures stay on the card: {error}")
    return SelfTest(engine=ZERO_COPY, usable=True, frames_per_s=round(frames_per_s, 1))


def _ladder(card: Card, encoder: HardwareEncoder, source: _Source, most_late: int) -> float:
    """Two rungs of one source. Source frames per second."""
    bank = _bank(card, source, dict.fromkeys(_FORMS, True))
    engines = {name: HardwareEngine(encoder, form) for name, form in _FORMS.items()}
    units: dict[str, list[Encoded]] = {name: [] for name in _FORMS}
    began = time.perf_counter()
    for index, packet in enumerate(source.packets):
        _encode(bank.decode(packet), engines, units)
        if index + 1 - min(len(made) for made in units.values()) > most_late:
            raise EngineError(f"more than {most_late} frames late")
    _encode(bank.decode(None), engines, units)
    for name, engine in engines.items():
        units[name] += engine.drain()
    took_s = time.perf_counter() - began
    for name, engine in engines.items():
        _compare(look_at(_FORMS[name], engine.config, units[name]))
        engine.close()
    return FRAMES / took_s


def _encode(pictures: list[Decoded], engines: dict[str, HardwareEngine], units: dict[str, list[Encoded]]) -> None:
    for picture in pictures:
        for name, frame in (picture.scaled or {}).items():
            units[name] += engines[name].encode(frame, (frame.pts or 0) // DURATION in KEYS, (1, 1))


def _into_memory(card: Card, source: _Source, *, on_card: bool) -> None:
    """An encoder in software goes on with pictures on the card, or with what the card gives in system memory."""
    bank = _bank(card, source, {_SMALL: on_card})
    encoder = X264(_FORMS[_SMALL])
    decoded = [picture for packet in (*source.packets, None) for picture in bank.decode(packet)]
    units = [
        unit
        for index, picture in enumerate(decoded)
        for unit in encoder.encode(in_memory(picture.frame), index in KEYS, (1, 1))
    ]
    _compare(look_at(_FORMS[_SMALL], encoder.config, units))


def _bank(card: Card, source: _Source, rungs: dict[str, bool]) -> Bank:
    wanted = [Wanted(name, (_FORMS[name].width, _FORMS[name].height), on_card) for name, on_card in rungs.items()]
    return Bank(card, source.form, wanted)


def _compare(shown: list[VideoFrame]) -> None:
    for index, frame in enumerate(shown):
        plane = frame.planes[0]
        level = bytes(plane)[plane.line_size * (frame.height // 2) + frame.width // 2]
        if abs(level - _level(index)) > _TOLERANCE:
            raise EngineError(f"picture {index} shows {level} instead of {_level(index)}")


def _level(index: int) -> int:
    return _DARK + _STEP * index


def _grey(index: int) -> VideoFrame:
    frame = VideoFrame(FORM.width, FORM.height, "yuv420p")
    for plane, level in zip(frame.planes, (_level(index), 128, 128), strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    frame.pts, frame.time_base = index * DURATION, TIME_BASE
    return frame
