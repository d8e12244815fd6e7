"""Who is in which room of this gateway: connections by their user."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Seat(NamedTuple):
    """Where a connection sits."""

    room_id: str
    user_id: str
    username: str
    moderator: bool


class Presence(Generic[T]):
    """Bounded by the connections there are."""

    def __init__(self) -> None:
        self._seats: dict[T, Seat] = {}
        self._rooms: defaultdict[str, dict[str, dict[T, None]]] = defaultdict(dict)

    def enter(self, connection: T, seat: Seat) -> None:
        """A connection says who it is; it may say so again."""
        self.leave(connection)
        self._seats[connection] = seat
        self._rooms[seat.room_id].setdefault(seat.user_id, {})[connection] = None

    def leave(self, connection: T) -> None:
        """It is gone, or had never said who it is."""
        seat = self._seats.pop(connection, None)
        if seat is None:
            return
        room = self._rooms[seat.room_id]
        room[seat.user_id].pop(connection)
        if not room[seat.user_id]:
            del room[seat.user_id]
        if not room:
            del self._rooms[seat.room_id]

    def of_user(self, room_id: str, user_id: str) -> list[T]:
        """The connections of a user in a room."""
        return list(self._rooms.get(room_id, {}).get(user_id, ()))

    def moderators(self, room_id: str) -> list[T]:
        """The connections of those who moderate it."""
        users = self._rooms.get(room_id, {})
        return [one for connections in users.values() for one in connections if self._seats[one].moderator]

    def users(self, room_id: str) -> Iterable[Seat]:
        """Everybody in a room who has said who they are, once each."""
        for connections in self._rooms.get(room_id, {}).values():
            yield self._seats[next(iter(connections))]

    def count(self, room_id: str) -> int:
        """How many users that are."""
        return len(self._rooms.get(room_id, ()))
