"""Packets of one source in order: waits for missing ones, asks for them, and gives up in bounded time."""

from typing import Final, NamedTuple

from edge.protocols.webrtc.rtp import RtpPacket, SerialUnwrap

_JUMP: Final = 3_000  # a step beyond this is a sender that started anew


class InOrder(NamedTuple):
    """A packet whose turn it is. `after_loss`: packets before it were given up."""

    packet: RtpPacket
    after_loss: bool


class _Hole:
    __slots__ = ("asked_at", "seen_at", "times")

    def __init__(self, seen_at: float) -> None:
        self.seen_at = seen_at
        self.asked_at = seen_at
        self.times = 0


class ReorderBuffer:
    """Bounded: at most `most` packets are held, none longer than `wait_s`. Times in seconds."""

    def __init__(
        self,
        *,
        wait_s: float = 0.25,
        most: int = 1024,
        patience_s: float = 0.008,
        repeat_s: float = 0.06,
        requests: int = 6,
    ) -> None:
        """`patience_s` of plain reordering pass before a packet is asked for, `repeat_s` before it is again."""
        self.lost = 0
        self.late = 0
        self.recovered = 0
        self._wait_s = wait_s
        self._most = most
        self._patience_s = patience_s
        self._repeat_s = repeat_s
        self._requests = requests
        self._unwrap = SerialUnwrap(16)
        self._next = -1
        self._top = -1  # the highest that is held
        self._held: dict[int, RtpPacket] = {}
        self._holes: dict[int, _Hole] = {}  # in ascending order: they are only appended

    @property
    def highest(self) -> int:
        """The extended highest sequence number, 0 before the first packet."""
        return max(self._unwrap.highest, 0)

    @property
    def is_waiting(self) -> bool:
        """Whether packets are missing."""
        return bool(self._holes)

    def takes(self, packet: RtpPacket) -> bool:
        """Whether it is the next packet and no other is held, as nearly always. False: `push` judges it."""
        sequence = self._unwrap(packet.sequence)
        if sequence != self._next or self._held:
            return False
        self._next = sequence + 1
        return True

    def push(self, packet: RtpPacket, now: float) -> list[InOrder]:
        """Takes a packet; those whose turn it is now, it among them or not."""
        sequence = self._unwrap(packet.sequence)
        step = sequence - self._next
        if self._next < 0 or abs(step) > _JUMP:
            return self._begin(packet, sequence)
        if step < 0 or sequence in self._held:
            self.late += 1
            return []
        self._hold(packet, sequence, now)
        if len(self._held) > self._most:
            return self._give_up_first()
        return self._release(False) if step == 0 else []

    def expire(self, now: float) -> list[InOrder]:
        """Packets behind holes that were waited for long enough. To be called every 20 ms or so."""
        out: list[InOrder] = []
        while self._holes and now - self._holes[next(iter(self._holes))].seen_at >= self._wait_s:
            out += self._give_up_first()
        return out

    def wanted(self, now: float) -> list[int]:
        """Sequence numbers (16 bits) to ask the sender for now."""
        found = []
        for sequence, hole in self._holes.items():
            pause = self._repeat_s if hole.times else self._patience_s
            if hole.times < self._requests and now - hole.asked_at >= pause:
                hole.times += 1
                hole.asked_at = now
                found.append(sequence & 0xFFFF)
        return found

    def _begin(self, packet: RtpPacket, sequence: int) -> list[InOrder]:
        again = self._next >= 0
        self.lost += len(self._holes)
        self._held.clear()
        self._holes.clear()
        if sequence < self._unwrap.highest:  # a sender that started anew below where it was
            self._unwrap = SerialUnwrap(16)
            sequence = self._unwrap(packet.sequence)
        self._next = sequence + 1
        self._top = sequence
        return [InOrder(packet, again)]

    def _hold(self, packet: RtpPacket, sequence: int, now: float) -> None:
        if self._holes.pop(sequence, None) is not None:
            self.recovered += 1
        else:
            for missing in range(max(self._next, self._top + 1), sequence):
                self._holes[missing] = _Hole(now)
            self._top = sequence
        self._held[sequence] = packet

    def _release(self, after_loss: bool) -> list[InOrder]:
        out = []
        while (packet := self._held.pop(self._next, None)) is not None:
            out.append(InOrder(packet, after_loss))
            after_loss = False
            self._next += 1
        return out

    def _give_up_first(self) -> list[InOrder]:
        """Gives up the first run of missing packets and goes on behind it."""
        first = min(self._held)
        for missing in range(self._next, first):
            if self._holes.pop(missing, None) is not None:
                self.lost += 1
        self._next = first
        return self._release(True)
