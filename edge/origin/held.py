"""Requests that wait for the same thing: one list per thing, one answer for the whole list."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from edge.origin.responses import Response

K = TypeVar("K", bound=Hashable)


class Waiter(Protocol):
    """A connection with one request held."""

    def claim(self) -> None:
        """The answer comes in a later turn of the loop: time cannot run out any more."""

    def answer(self, response: Response) -> None:
        """Writes the answer and goes on with what was pipelined; nothing when the client has left."""


Deliver = Callable[[list[Waiter], Response], None]  # writes one answer to many


class HeldRequests(Generic[K]):
    """Waiters by what they wait for, in the order they came."""

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[K, dict[Waiter, None]] = {}

    def __len__(self) -> int:
        return sum(len(group) for group in self._groups.values())

    def add(self, key: K, waiter: Waiter) -> Callable[[], None]:
        """Holds a request; the returned function lets it go again (client left, or time over)."""
        group = self._groups.setdefault(key, {})
        group[waiter] = None

        def release() -> None:
            group.pop(waiter, None)
            if not group and self._groups.get(key) is group:
                del self._groups[key]

        return release

    def keys(self) -> Iterable[K]:
        """What is waited for."""
        return tuple(self._groups)

    def take(self, ready: Callable[[K], bool]) -> Iterator[tuple[K, list[Waiter]]]:
        """Removes and yields the groups whose key is ready."""
        for key in tuple(self._groups):
            if ready(key):
                yield key, list(self._groups.pop(key))
