"""How many connections there are, and how many from each address."""

import collections
import enum
import ipaddress

from edge.chat.config import ChatConfig

_TOLD = 512  # connections beyond a limit that are told so at a time; further ones are closed unheard
_SUBSCRIBER_BITS = 64  # of an IPv6 address: what is below is one customer's to choose


class Entry(enum.Enum):
    """TAKEN; TOLD: to be told that there are too many; CLOSED: not even that."""

    TAKEN = 0
    TOLD = 1
    CLOSED = 2


class Crowd:
    """Whoever is beyond a limit takes no place from others."""

    def __init__(self, config: ChatConfig) -> None:
        self._config = config
        self._addresses: collections.Counter[str] = collections.Counter()
        self._taken = 0
        self._told = 0

    def __len__(self) -> int:
        return self._taken + self._told

    def enter(self, address: str) -> Entry:
        """A connection from an address comes; TAKEN and TOLD are counted until `leave`."""
        key = _key(address)
        config = self._config
        if self._taken < config.connections and self._addresses[key] < config.connections_per_address:
            self._taken += 1
            self._addresses[key] += 1
            return Entry.TAKEN
        if self._told < _TOLD:
            self._told += 1
            return Entry.TOLD
        return Entry.CLOSED

    def leave(self, address: str, entry: Entry) -> None:
        """One that entered so has gone."""
        if entry is Entry.TOLD:
            self._told -= 1
            return
        self._taken -= 1
        key = _key(address)
        self._addresses[key] -= 1
        if self._addresses[key] <= 0:
            del self._addresses[key]


def _key(address: str) -> str:
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(int(found) >> (128 - _SUBSCRIBER_BITS))
