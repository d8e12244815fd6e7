"""Requests that wait for the same thing: one group per thing, one answer for the whole group."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from edge.origin.responses import Response, ranged

K = TypeVar("K", bound=Hashable)
_MOST_KEPT = 1024


class Waiter(Protocol):
    """A connection with one request held."""

    def claim(self) -> None:
        """The answer comes in a later turn of the loop: time cannot run out any more."""

    def answer(self, response: Response) -> None:
        """Writes the answer and goes on with what was pipelined; nothing when the client has left."""


Deliver = Callable[[list[Waiter], Response], None]  # writes one answer to many
Release = Callable[[Waiter], None]  # lets a waiter go: it has left, or its time is over


class Group:
    """Those who wait for one thing, in the order they came. `leave` takes one of them off: one function for all."""

    __slots__ = ("kept", "leave", "waiters")

    def __init__(self, emptied: Callable[["Group"], None]) -> None:
        self.kept = False  # it stays although nobody waits: others know it by a shortcut
        self.waiters: dict[Waiter, None] = {}

        def leave(waiter: Waiter) -> None:
            self.waiters.pop(waiter, None)
            if not self.waiters and not self.kept:
                emptied(self)

        self.leave: Release = leave

    def add(self, waiter: Waiter) -> Release:
        """One more waits."""
        self.waiters[waiter] = None
        return self.leave


class HeldRequests(Generic[K]):
    """Groups by what they wait for."""

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[K, Group] = {}

    def __len__(self) -> int:
        return sum(len(group.waiters) for group in self._groups.values())

    def add(self, key: K, waiter: Waiter) -> Release:
        """Holds a request; the returned function lets it go again."""
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(lambda group: self._drop(key, group))
        return group.add(waiter)

    def _drop(self, key: K, group: Group) -> None:
        if self._groups.get(key) is group:
            del self._groups[key]

    def keep(self, key: K) -> Group | None:
        """The group of a key, which stays until it is taken even if all leave; None when there are too many."""
        group = self._groups.get(key)
        if group is not None and len(self._groups) <= _MOST_KEPT:
            group.kept = True
            return group
        return None

    def keys(self) -> Iterable[K]:
        """What is waited for."""
        return [key for key, group in self._groups.items() if group.waiters]

    def take(self, ready: Callable[[K], bool]) -> Iterator[tuple[K, list[Waiter]]]:
        """Removes and yields the groups whose key is ready. Shortcuts to groups must be gone by now."""
        for key, group in tuple(self._groups.items()):
            group.kept = False
            if not group.waiters:
                del self._groups[key]
            elif ready(key):
                del self._groups[key]
                waiters = list(group.waiters)
                group.waiters.clear()
                yield key, waiters


class _Ranged:
    """A request for a range of what others want the whole of."""

    __slots__ = ("_caller", "_range")

    def __init__(self, caller: Waiter, asked: str) -> None:
        self._caller = caller
        self._range = asked

    def claim(self) -> None:
        self._caller.claim()

    def answer(self, response: Response) -> None:
        whole = not self._range or response.status != 200
        self._caller.answer(response if whole else ranged(response, self._range))


def hold_range(add: Callable[[Waiter], Release], asked: str, caller: Waiter) -> Release:
    """Holds a request with `add`, of which `asked` is the Range field or empty; the function lets it go."""
    waiter = _Ranged(caller, asked)
    leave = add(waiter)
    return lambda _: leave(waiter)
