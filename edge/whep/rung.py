"""One rendition on its way to its viewers: chunks in, batches of payloads out, in the time of the chunks."""

import asyncio
from typing import Protocol

from appliance.contracts.media import ChunkHeader
from edge.media.pacer import Pacer
from edge.media.segmenter import unled
from edge.protocols.codecs.bits import CodecError
from edge.protocols.fmp4 import FragmentError, Sample, read_fragments
from edge.whep import metrics
from edge.whep.unit import RTP_RATE, AvcForm, Batch, Unit, batches_of, payloads_of

_MOST_UNITS = 1200  # of a GOP that is kept for those who come


class PictureSink(Protocol):
    """A viewer."""

    def picture(self, feed: "RungFeed", batch: Batch) -> None:
        """Sends a batch on; called on the loop."""


class RungFeed:
    """States: catching up, flowing (`ready` is set), unfit (`ready` is set, `unfit` says why). Used on the loop."""

    def __init__(self, name: str, timescale: int) -> None:
        self.name = name
        self.viewers: set[PictureSink] = set()
        self.unfit = ""
        self.profile = ""
        self.ready = asyncio.Event()
        self.wanted_at = 0.0  # when somebody last had a use for it
        self._timescale = timescale
        self._loop = asyncio.get_running_loop()
        self._pacer: Pacer[Batch] = Pacer()
        self._timer: asyncio.TimerHandle | None = None
        self._gop: list[Unit] = []
        self._index = 0
        self._begun = -1  # number of the newest unit of which something has left

    def refuse(self, why: str) -> None:
        """Nobody can be shown it."""
        self.unfit = why
        self.ready.set()

    def take(self, header: ChunkHeader, data: bytes, form: AvcForm, *, caught_up: bool) -> None:
        """The next chunk with media."""
        now = self._loop.time()
        self.profile = form.profile
        try:
            samples = unled([sample for piece in read_fragments(data) for sample in piece.samples], header.lead)
            if any(sample.cts != samples[0].cts for sample in samples):
                self.refuse("its pictures are sent in another order than they are shown (B-frames)")
                return
            units = [self._unit(sample, header, form) for sample in samples]
        except (FragmentError, CodecError):
            metrics.DROPPED.labels("damaged_chunk").inc()
            return
        self._keep(units)
        if not self.ready.is_set():
            self._begun = units[-1].number if units else self._begun
            if caught_up and self._gop:
                self.ready.set()
            return
        self._pace(units, now)

    def _unit(self, sample: Sample, header: ChunkHeader, form: AvcForm) -> Unit:
        self._index += 1
        media = sample.pts * RTP_RATE // self._timescale
        return Unit(
            self._index,
            header.msn,
            sample.key,
            media,
            sample.duration / self._timescale,
            payloads_of(sample, form),
        )

    def _keep(self, units: list[Unit]) -> None:
        for unit in units:
            if unit.key:
                self._gop = []
            elif not self._gop:
                continue
            self._gop.append(unit)
        if len(self._gop) > _MOST_UNITS:
            self._gop = []

    def _pace(self, units: list[Unit], now: float) -> None:
        offset_s = 0.0
        items: list[tuple[float, Batch]] = []
        for unit in units:
            items += batches_of(unit, offset_s)
            offset_s += unit.duration_s
        self._pacer.put(items, now)
        self._pump()

    def _pump(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for batch in self._pacer.take(self._loop.time()):
            self._begun = batch.unit.number
            for viewer in list(self.viewers):
                viewer.picture(self, batch)
        due = self._pacer.next_at
        if due is not None:
            self._timer = self._loop.call_at(due, self._pump)

    def burst(self, most: int) -> list[Unit]:
        """What a viewer who comes needs to see a picture at once: from the newest key frame to what has left.

        Empty when that is more than `most` packets, or when the next thing to leave is a key frame.
        """
        units = [unit for unit in self._gop if unit.number <= self._begun]
        return units if sum(len(unit.payloads) for unit in units) <= most else []

    def close(self) -> None:
        """Nothing leaves any more."""
        if self._timer is not None:
            self._timer.cancel()
        self.viewers.clear()
