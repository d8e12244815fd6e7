"""Every window of this process under one byte budget, and chunks that wait for their rendition's record."""

import collections
from collections.abc import Iterable

from appliance.contracts.media import ChunkHeader, Rendition
from appliance.contracts.spool import SpooledSegment
from edge.origin.metrics import Tally
from edge.origin.stored import Discontinuities, WindowRules
from edge.origin.window import RenditionWindow

_PENDING_CHUNKS = 512
_PENDING_BYTES = 32 << 20


class RenditionStore:
    """One rendition: its record, its window, and chunks that came before what is needed to read them.

    Record and chunks travel on different ways, so either may be first; a chunk is used once its timescale
    and its initialisation segment are known.
    """

    def __init__(self, name: str, rules: WindowRules, discontinuities: Discontinuities, tally: Tally) -> None:
        self.name = name
        self.record: Rendition | None = None
        self.window: RenditionWindow | None = None
        self._rules = rules
        self._discontinuities = discontinuities
        self._tally = tally
        self._pending: collections.deque[tuple[ChunkHeader, bytes]] = collections.deque()
        self._pending_bytes = 0
        self._inits: frozenset[int] = frozenset()
        self._recalled: list[SpooledSegment] = []

    @property
    def held_bytes(self) -> int:
        """Bytes of chunks held."""
        return self._pending_bytes + (self.window.bytes if self.window is not None else 0)

    def describe(self, record: Rendition, now: float) -> bool:
        """Takes the rendition's record. True when waiting chunks changed the playlist."""
        if record.timescale <= 0:
            self._tally.event("bad_record")
            return False
        self.record = record
        self._inits = frozenset(init.init for init in record.inits)
        for init in record.inits:
            if init.from_msn > 0:
                self._discontinuities.announce(init.from_msn)
        if self.window is None:
            self.window = RenditionWindow(record.timescale, self._rules, self._discontinuities)
        self._recall()
        return self._drain(now)

    def recall(self, places: list[SpooledSegment]) -> None:
        """What the spool has, before anything of the log."""
        self._recalled = places
        self._recall()

    def _recall(self) -> None:
        if self.window is not None and self._recalled and not self.window.segments:
            self.window.recall(self._recalled)
            self._recalled = []

    def locate(self, places: list[SpooledSegment], first_msn: int, now: float) -> bool:
        """What the spool has got since, and its oldest segment. True when the playlist changed."""
        if self.window is None:
            self._recalled += places
            return False
        changed = self.window.forget_before(first_msn, now)
        return self.window.locate(places, now) or changed

    def accept(self, header: ChunkHeader, data: bytes, now: float) -> bool:
        """Takes the next chunk of the log. True when the playlist changed."""
        self._pending.append((header, data))
        self._pending_bytes += len(data)
        while len(self._pending) > _PENDING_CHUNKS or self._pending_bytes > _PENDING_BYTES:
            self._pending_bytes -= len(self._pending.popleft()[1])
            self._tally.event("pending_dropped")
        return self._drain(now)

    def _drain(self, now: float) -> bool:
        changed = False
        window = self.window
        while window is not None and self._pending:
            header, data = self._pending[0]
            if data and header.init not in self._inits:
                break
            self._pending.popleft()
            self._pending_bytes -= len(data)
            filled = window.filled
            changed |= window.accept(header, data, now)
            if window.filled != filled:
                self._tally.event("log_gap", window.filled - filled)
        return changed


class PartStore:
    """The byte budget: when it is spent the oldest media of all broadcasts goes first, and is counted."""

    def __init__(self, budget_bytes: int, tally: Tally) -> None:
        self._budget = budget_bytes
        self._tally = tally
        self._stores: set[RenditionStore] = set()

    def add(self, store: RenditionStore) -> None:
        self._stores.add(store)

    def remove(self, stores: Iterable[RenditionStore]) -> None:
        self._stores.difference_update(stores)

    @property
    def held_bytes(self) -> int:
        """Bytes of chunks held by this process."""
        return sum(store.held_bytes for store in self._stores)

    def enforce(self, now: float) -> list[RenditionStore]:
        """Evicts until the budget holds: retired segments first, then the oldest media in memory.

        Returns the stores whose playlist may have changed. One segment of each rendition always stays.
        """
        changed: list[RenditionStore] = []
        over = self.held_bytes - self._budget
        while over > 0:
            held = over
            for store in self._stores:
                if store.window is not None and over > 0:
                    before = store.window.bytes
                    if store.window.forget_oldest():
                        self._tally.event("evicted_segment")
                        over -= before - store.window.bytes
            if over == held:
                victim = self._oldest()
                if victim is None or victim.window is None:
                    break
                before = victim.window.bytes
                victim.window.make_room(now)
                self._tally.event("evicted_segment")
                changed.append(victim)
                over -= before - victim.window.bytes
        return changed

    def _oldest(self) -> RenditionStore | None:
        ages = [
            (oldest, store.name, store)
            for store in self._stores
            if store.window is not None and (oldest := store.window.oldest_us) is not None
        ]
        return min(ages, key=lambda one: one[:2])[2] if ages else None
