"""One ICE-lite agent (RFC 8445, 2.5): it answers checks, remembers who passed, and follows the nomination."""

from typing import Final, NamedTuple, TypeAlias

from edge.protocols.webrtc import stun

Address: TypeAlias = tuple[object, ...]
"""Where a peer is, as its socket names it: opaque here, hashable."""

_MOST_ADDRESSES: Final = 16
_SILENT_S: Final = 2.0  # a selected pair without a packet for so long gives way to a less preferred one
_CHECKS_PER_S: Final = 200


class Checked(NamedTuple):
    """What a connectivity check leads to."""

    reply: bytes
    added: bool = False  # its address is authenticated now
    dropped: Address | None = None  # one that is not any more


class _Pair:
    __slots__ = ("checked_at", "priority")

    def __init__(self, priority: int, checked_at: float) -> None:
        self.priority = priority
        self.checked_at = checked_at


class IceAgent:
    """States: no valid pair; a valid pair (data flows, RFC 8445 does not ask to wait); nominated.

    Times in seconds of one monotonic clock.
    """

    def __init__(self, fragment: str, password: str, now: float) -> None:
        self.fragment = fragment
        self.password = password
        self.selected: Address | None = None
        self.nominated = False
        self.migrations = 0
        self.heard_at = now
        self._passwords = {fragment: password.encode()}
        self._pairs: dict[Address, _Pair] = {}
        self._selected_by = ""  # the credentials that the selected pair was checked with
        self._data_at = now
        self._window = (now, 0)

    @property
    def fragments(self) -> tuple[str, ...]:
        """User name fragments that checks may carry; two during an ICE restart."""
        return tuple(self._passwords)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Authenticated addresses."""
        return tuple(self._pairs)

    def restart(self, fragment: str, password: str) -> None:
        """New credentials (RFC 8445, 9). The old ones work until a pair of the new ones is nominated."""
        kept = self._selected_by or self.fragment
        self._passwords = {kept: self._passwords[kept], fragment: password.encode()}
        self.fragment, self.password = fragment, password

    def check(
        self, datagram: bytes, address: Address, mapped: tuple[str, int], fragment: str, now: float
    ) -> Checked | None:
        """Takes a binding request whose USERNAME names `fragment`. None when it is not authentic.

        `address` is where it came from, `mapped` what the peer is told about it.
        """
        password = self._passwords.get(fragment)
        if password is None or self._is_flood(now):
            return None
        request = stun.authenticate(datagram, password)
        if request is None:
            return None
        if request.controlled:
            return Checked(stun.role_conflict(request.transaction, password))
        self.heard_at = now
        reply = stun.success(request.transaction, mapped, password)
        added, dropped = self._remember(address, request.priority, now)
        if self.selected is None:
            # browsers send their ClientHello after the first check and nominate a second later
            self.selected, self._selected_by = address, fragment
        if request.nominates:
            self._nominate(address, request.priority, fragment, now)
        return Checked(reply, added, dropped)

    def data_from(self, address: Address, now: float) -> None:
        """A packet other than a check came from an authenticated address."""
        self.heard_at = now
        if address == self.selected:
            self._data_at = now

    def drop(self, address: Address) -> None:
        """An address is gone (its TCP connection closed)."""
        self._pairs.pop(address, None)
        if address == self.selected:
            self.selected = max(self._pairs, key=lambda one: self._pairs[one].checked_at, default=None)

    def _is_flood(self, now: float) -> bool:
        since, count = self._window
        if now - since >= 1.0:
            self._window = (now, 1)
            return False
        self._window = (since, count + 1)
        return count >= _CHECKS_PER_S

    def _remember(self, address: Address, priority: int, now: float) -> tuple[bool, Address | None]:
        pair = self._pairs.get(address)
        if pair is not None:
            pair.checked_at = now
            return False, None
        dropped = None
        if len(self._pairs) >= _MOST_ADDRESSES:
            others = [one for one in self._pairs if one != self.selected]
            dropped = min(others, key=lambda one: self._pairs[one].checked_at)
            del self._pairs[dropped]
        self._pairs[address] = _Pair(priority, now)
        return True, dropped

    def _nominate(self, address: Address, priority: int, fragment: str, now: float) -> None:
        if self._yields_to(priority, fragment, now):
            if self.selected != address:
                self.migrations += 1
            self.selected, self._selected_by = address, fragment
        self.nominated = True
        if fragment == self.fragment and self._selected_by == fragment:
            self._passwords = {fragment: self._passwords[fragment]}

    def _yields_to(self, priority: int, fragment: str, now: float) -> bool:
        """Aggressive nomination nominates every pair: the best one wins, a worse one only over a silent one."""
        pair = self._pairs.get(self.selected) if self.selected is not None else None
        if pair is None or not self.nominated or fragment != self._selected_by:
            return True
        return priority >= pair.priority or now - max(pair.checked_at, self._data_at) > _SILENT_S
