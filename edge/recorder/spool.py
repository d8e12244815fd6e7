"""The whole spool of a site: every rendition's volumes under one share of the disk. Blocking file work."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from edge.recorder.assembler import FinishedSegment
from edge.recorder.volumes import RenditionVolumes

Place = tuple[str, str]  # broadcast id, rendition


class Spool:
    """Used by one thread at a time.

    `keep_s`: what is older goes. `most_bytes`: beyond it the oldest of all broadcasts goes; the same while less
    than `spare_bytes` of the disk are free, since the part log must never find it full.
    """

    def __init__(self, folder: Path, keep_s: float, most_bytes: int, spare_bytes: int) -> None:
        self._folder = folder
        self._keep_us = int(keep_s * 1_000_000)
        self._most_bytes = most_bytes
        self._spare_bytes = spare_bytes
        self._open: dict[Place, RenditionVolumes] = {}

    def open(self, wanted: Iterable[str]) -> dict[Place, int]:
        """Opens what a recorder before this one has left of the `wanted` broadcasts and removes the rest.

        The last segment that is kept of each rendition.
        """
        keep = set(wanted)
        self._folder.mkdir(parents=True, exist_ok=True)
        for broadcast in self._folder.iterdir():
            if broadcast.name not in keep:
                shutil.rmtree(broadcast, ignore_errors=True)
                continue
            for rendition in broadcast.iterdir():
                place = broadcast.name, rendition.name
                self._open[place] = RenditionVolumes(rendition)
        return {place: volumes.last_msn for place, volumes in self._open.items()}

    @property
    def held_bytes(self) -> int:
        """Bytes of media on disk."""
        return sum(volumes.held_bytes for volumes in self._open.values())

    def write(self, finished: Mapping[Place, list[FinishedSegment]]) -> None:
        """Keeps the segments. OSError: nothing of the rendition that failed is in its index."""
        for place in list(finished):
            volumes = self._open.get(place)
            if volumes is None:
                volumes = self._open[place] = RenditionVolumes(self._folder / place[0] / place[1])
            after = volumes.last_msn
            fresh = [segment for segment in finished[place] if segment.msn > after]
            if fresh:
                try:
                    volumes.write(fresh)
                except OSError:
                    del self._open[place]  # what the disk really has is read again before the next attempt
                    raise

    def remove(self, broadcast_id: str) -> None:
        """Forgets a broadcast."""
        for place in [place for place in self._open if place[0] == broadcast_id]:
            del self._open[place]
        shutil.rmtree(self._folder / broadcast_id, ignore_errors=True)

    def trim(self, now_us: int) -> int:
        """Removes what is too old or too much. The number of volumes that had to go before their time."""
        for place, volumes in list(self._open.items()):
            while (oldest := volumes.oldest_us) is not None and oldest < now_us - self._keep_us:
                self._drop_oldest(place)
        early = 0
        over = self._over()
        while over > 0:
            victim = self._oldest()
            if victim is None:
                break
            over -= self._drop_oldest(victim)
            early += 1
        return early

    def _drop_oldest(self, place: Place) -> int:
        try:
            return self._open[place].drop_oldest()
        except OSError:
            del self._open[place]  # as in `write`
            raise

    def _oldest(self) -> Place | None:
        ages = [(oldest, place) for place, one in self._open.items() if (oldest := one.oldest_us) is not None]
        return min(ages, key=lambda one: one[0])[1] if ages else None

    def _over(self) -> int:
        free = shutil.disk_usage(self._folder).free
        return max(self.held_bytes - self._most_bytes, self._spare_bytes - free)
