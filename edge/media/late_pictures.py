"""Pictures that come when their time was told as missing: they are decoded, since others refer to them."""

from edge.protocols.fmp4 import Sample

UNSEEN = 1  # ticks that such a picture lasts
_MOST = 600  # pictures: in ticks less than from one to the next at 120/s
_MOST_BYTES = 16 << 20
_ROOM = 16  # ticks for pictures on time that would be shown before those


class LatePictures:
    """Those from the last key frame on wait for one that comes in time, right before which each lasts a tick.

    So nobody sees them. The order in which pictures are shown stays. Times in 90 kHz ticks.
    """

    def __init__(self) -> None:
        self._held: list[Sample] = []
        self._bytes = 0
        self.behind = 0  # ticks between when the first of them was due and is decoded
        self._begin = self._seen = 0  # decoded from, and shown from if they were
        self._is_reordered = False

    @property
    def is_full(self) -> bool:
        """Whether what is held has to be taken."""
        return len(self._held) >= _MOST or self._bytes >= _MOST_BYTES

    @property
    def has_any(self) -> bool:
        """Whether anything is held."""
        return bool(self._held)

    @property
    def crowds_until(self) -> int:
        """Decode time up to which samples have to make room for what was taken."""
        return self._seen + _MOST

    def add(self, sample: Sample) -> None:
        """In the order of decoding."""
        if sample.key:
            self.clear()
        self._held.append(sample)
        self._bytes += len(sample.data)

    def clear(self) -> None:
        """They are not needed."""
        self._held, self._bytes = [], 0

    def take(self, begin: int, reorder: int, *, is_reordered: bool) -> list[Sample]:
        """What is held, decoded from `begin` on.

        `reorder` ticks lie between decoding and showing a key frame; `is_reordered`: other ticks for others.
        """
        held = self._held
        self.clear()
        self._begin, self._seen = (begin, begin + reorder) if held else (0, -_MOST)
        self._is_reordered = is_reordered
        self.behind = begin - held[0].dts if held else 0
        unseen = sorted({one.pts for one in held if one.pts < self._seen})
        places = {pts: self._seen - _ROOM - place for place, pts in enumerate(reversed(unseen), 1)}
        out = []
        for dts, one in enumerate(held, begin):
            cts = max(0, places.get(one.pts, one.pts) - dts) if is_reordered else one.cts
            out.append(one.replace(dts=dts, cts=cts, duration=UNSEEN))
        return out

    def make_room(self, sample: Sample, end: int) -> Sample:
        """A sample that came in time, decoded from `end` on, where the one before ends."""
        dts, pts, cts = max(sample.dts, end), sample.pts, sample.cts
        if self._is_reordered:
            if pts < self._seen:
                pts = self._seen - _ROOM + max(0, pts - self._begin) * _ROOM // (self._seen - self._begin)
            cts = max(0, pts - dts)
        return sample.replace(dts=dts, cts=cts, duration=max(1, sample.end - dts))
