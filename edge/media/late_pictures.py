"""Pictures that come when their time was told as missing: they are decoded, since others refer to them."""

from edge.protocols.fmp4 import Sample

UNSEEN = 1  # ticks that such a picture lasts
_MOST = 600  # pictures: in ticks less than from one to the next at 120/s
_MOST_BYTES = 16 << 20
_ROOM = 16  # ticks for pictures on time that would be shown before those


class LatePictures:
    """Those from the last key frame on wait for one that comes in time, right before which each lasts a tick.

    So nobody sees them. The order in which pictures are shown stays. Every picture of a rendition goes through
    `hold` or `fit`: `reorder` ticks lie between decoding a key frame and showing it. Times in 90 kHz ticks.
    """

    def __init__(self) -> None:
        self._held: list[Sample] = []
        self._bytes = 0
        self.behind = 0  # ticks between when the first of them was due and is decoded
        self._begin = self._seen = 0  # decoded from, and shown from if they were
        self.reorder = 0
        self._is_reordered = False  # others are shown more ticks later, or fewer
        self._was_reordered = False  # when the last ones were taken

    @property
    def has_any(self) -> bool:
        """Whether anything is held."""
        return bool(self._held)

    def hold(self, sample: Sample, end: int) -> list[Sample]:
        """One that came too late, in the order of decoding. When there are many, all, decoded from `end` on."""
        self._watch(sample)
        if sample.key:
            self.clear()
        self._held.append(sample)
        self._bytes += len(sample.data)
        is_full = len(self._held) >= _MOST or self._bytes >= _MOST_BYTES
        return self.take(end) if is_full else []

    def before(self, sample: Sample, end: int) -> list[Sample]:
        """What has to be decoded before `sample`, which came in time; what is decoded so far ends at `end`."""
        if sample.key:
            self.clear()
        return self.take(max(sample.dts, end))

    def fit(self, sample: Sample, end: int) -> Sample:
        """A sample that came in time, decoded behind `end`, with room for what was taken before it."""
        self._watch(sample)
        return self._make_room(sample, end) if sample.dts < self._seen + _MOST else sample

    def _watch(self, sample: Sample) -> None:
        if sample.key:
            self.reorder = sample.cts
        elif sample.cts != self.reorder:
            self._is_reordered = True

    def clear(self) -> None:
        """They are not needed."""
        self._held, self._bytes = [], 0

    def take(self, begin: int) -> list[Sample]:
        """What is held, decoded from `begin` on."""
        held = self._held
        self.clear()
        self._begin, self._seen = (begin, begin + self.reorder) if held else (0, -_MOST)
        self._was_reordered = self._is_reordered
        self.behind = begin - held[0].dts if held else 0
        unseen = sorted({one.pts for one in held if one.pts < self._seen})
        places = {pts: self._seen - _ROOM - place for place, pts in enumerate(reversed(unseen), 1)}
        out = []
        for dts, one in enumerate(held, begin):
            cts = max(0, places.get(one.pts, one.pts) - dts) if self._is_reordered else one.cts
            out.append(one.replace(dts=dts, cts=cts, duration=UNSEEN))
        return out

    def _make_room(self, sample: Sample, end: int) -> Sample:
        dts, pts, cts = max(sample.dts, end), sample.pts, sample.cts
        if self._was_reordered:
            if pts < self._seen:
                pts = self._seen - _ROOM + max(0, pts - self._begin) * _ROOM // (self._seen - self._begin)
            cts = max(0, pts - dts)
        return sample.replace(dts=dts, cts=cts, duration=max(1, sample.end - dts))
