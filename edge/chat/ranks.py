"""Who is who in a room: authors, their rank and their badges."""

import dataclasses
import enum

from appliance.contracts.directory import TokenRecord
from appliance.contracts.moderation import MONTH_MS, Role
from edge.chat.index import Place
from edge.chat.states import Standing

_BROADCASTER = "broadcaster"
_GIVEN = frozenset((_BROADCASTER, "moderator", "vip", "subscriber"))  # by the room, never by the user's record


class Rank(enum.IntEnum):
    """The higher may act on the lower."""

    VIEWER = 0
    VIP = 1
    MODERATOR = 2
    OWNER = 3  # and the operators of the system


@dataclasses.dataclass(frozen=True, slots=True)
class Author:
    """Whoever speaks."""

    user_id: str
    username: str
    badges: tuple[str, ...] = ()
    operator: bool = False

    def document(self, place: Place) -> dict[str, object]:
        """As clients see it."""
        return {"user_id": self.user_id, "username": self.username, "badges": self.badges_in(place)}

    def badges_in(self, place: Place, standing: Standing | None = None, now_ms: int = 0) -> list[str]:
        """Those that the room gives, then the author's own; a subscriber's tells tier and months."""
        given = [_BROADCASTER] if self.user_id == place.owner_id else []
        if standing is None:
            own = [badge for badge in self.badges if badge != _BROADCASTER]
            return given + own
        if standing.role and not given:
            given.append(str(standing.role))
        if standing.tier:
            months = 1 + max(0, now_ms - standing.subscribed_ms) // MONTH_MS
            given.append(f"subscriber/{standing.tier}/{months}")
        return given + [badge for badge in self.badges if badge.partition("/")[0] not in _GIVEN]

    def rank(self, place: Place, standing: Standing) -> Rank:
        """What the author may do in the room."""
        if self.operator:
            return Rank.OWNER
        return rank_of(place, self.user_id, standing)


def author_of(record: TokenRecord) -> Author:
    """Whose token it is."""
    return Author(record.user_id, record.username, tuple(record.badges), operator="operator" in record.scopes)


def rank_of(place: Place, user_id: str, standing: Standing) -> Rank:
    """The rank of a user in a room."""
    if user_id == place.owner_id:
        return Rank.OWNER
    if standing.role is Role.MODERATOR:
        return Rank.MODERATOR
    return Rank.VIP if standing.role is Role.VIP else Rank.VIEWER
