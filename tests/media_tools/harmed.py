"""Clips as faulty encoders and narrow lines make them: pictures that are damaged, and pictures that are left out.

The container is whole.
"""

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.media_tools.clips import GOP_S, RATE, Clip

_HEADER, _TAG, _SIZE = 13, 11, 4
_EACH = 97  # bytes from one that is changed to the next
_UNHARMED = 12  # what leads to the slice and how long it is, and the first bytes of its header
_VIDEO, _INTER_AVC, _NALU = 9, 0x27, 1


def damage(clip: Clip, path: Path, share: float, seed: int, *, spared_s: float = 0.0) -> int:
    """Writes `clip`, FLV, to `path` with a `share` of the pictures between key frames damaged; how many are.

    Those of the first `spared_s` seconds are left as they are.
    """
    chance, data = random.Random(seed), bytearray(clip.path.read_bytes())
    harmed = 0
    for begin, end, stamp_ms, is_inter in _tags(data):
        body = begin + _TAG
        if is_inter and stamp_ms >= 1000 * spared_s and chance.random() < share:
            for index in range(body + _UNHARMED, end - _SIZE, _EACH):
                data[index] ^= 1 << chance.randrange(8)
            harmed += 1
    path.write_bytes(data)
    return harmed


def thin(clip: Clip, path: Path, share: float, seed: int) -> Clip:
    """The clip, FLV, at `path`, as OBS sends it on a line that is too narrow.

    A `share` of the pictures begin a run that is left out, up to the next key frame.
    """
    chance, data = random.Random(seed), clip.path.read_bytes()
    kept, leaves_out = [data[:_HEADER]], False
    for begin, end, _, is_inter in _tags(data):
        is_picture = data[begin] == _VIDEO
        leaves_out = (leaves_out or chance.random() < share) if is_inter else leaves_out and not is_picture
        if not (is_inter and leaves_out):
            kept.append(data[begin:end])
    path.write_bytes(b"".join(kept))
    return Clip(path, clip.seconds, clip.video, clip.audio)


def blind(clip: Clip, path: Path, begin_s: float, end_s: float) -> Clip:
    """The clip, FLV, at `path`, as a phone in the background sends it: without pictures from begin to end.

    They go on with a key frame.
    """
    data = clip.path.read_bytes()
    kept, comes = [data[:_HEADER]], True
    for begin, end, stamp_ms, is_inter in _tags(data):
        is_picture = data[begin] == _VIDEO and data[begin + _TAG + 1] == _NALU
        comes = not 1000 * begin_s <= stamp_ms < 1000 * end_s and (comes or (is_picture and not is_inter))
        if comes or not is_picture:
            kept.append(data[begin:end])
    path.write_bytes(b"".join(kept))
    return Clip(path, clip.seconds, clip.video, clip.audio)


def late(clip: Clip, path: Path, begin_s: float, end_s: float) -> Clip:
    """The clip, FLV, at `path`, of an encoder that holds its pictures up: those from begin to end come together."""
    data = clip.path.read_bytes()
    tags = [(begin, end, stamp_ms) for begin, end, stamp_ms, _ in _tags(data)]

    def arrival(tag: tuple[int, int, int]) -> float:
        held_up = data[tag[0]] == _VIDEO and 1000 * begin_s <= tag[2] < 1000 * end_s
        return 1000 * end_s if held_up else tag[2]

    found = [data[begin:end] for begin, end, _ in sorted(tags, key=arrival)]
    path.write_bytes(data[:_HEADER] + b"".join(found))
    return Clip(path, clip.seconds, clip.video, clip.audio)


def skip(clip: Clip, path: Path, share: float, seed: int) -> Clip:
    """The clip, encoded anew at `path` by an encoder that is too slow: it gets no more than the others' share."""
    chosen = f"select='gte(random({seed}),{share})+eq(mod(n,{RATE * GOP_S}),0)'"
    subprocess.run(
        [
            *("ffmpeg", "-nostdin", "-v", "error", "-i", str(clip.path), "-vf", chosen, "-fps_mode", "vfr"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-threads", "1", "-g", "250", "-bf", "0"),
            *("-force_key_frames", f"expr:gte(t,n_forced*{GOP_S})", "-c:a", "copy", str(path)),
        ],
        check=True,
        timeout=120,
    )
    return Clip(path, clip.seconds, clip.video, clip.audio)


def _tags(data: bytes | bytearray) -> Iterator[tuple[int, int, int, bool]]:
    """Begin and end of each tag with what follows it, its time in ms, and whether it is H.264 and no key frame."""
    at = _HEADER
    while at < len(data):
        end = at + _TAG + int.from_bytes(data[at + 1 : at + 4]) + _SIZE
        body = at + _TAG
        is_inter = data[at] == _VIDEO and data[body] == _INTER_AVC and data[body + 1] == _NALU
        yield at, end, int.from_bytes(data[at + 4 : at + 7]), is_inter
        at = end
