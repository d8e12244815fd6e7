"""What a handed-over request asks for."""

import dataclasses
import enum
import functools
import urllib.parse

from appliance.contracts.errors import BadInputError, NotFoundError
from edge.chat.index import Index, Place
from edge.chat.positions import Mark

_MAX_LIMIT = 100


class Action(enum.Enum):
    """What can be done with a room."""

    SUBSCRIBE = "subscribe"
    MESSAGES = "messages"  # GET reads, POST writes
    POLL = "poll"
    MODERATE = "moderate"  # POST acts
    CHATTERS = "chatters"
    HELD = "held"  # messages that wait for a moderator
    STATE = "state"  # modes, pin, emotes; commands for whoever asks; terms and roles for moderators


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """A path: what to do with the room of a stream (`by_stream`) or of a channel."""

    action: Action
    by_stream: bool
    name: str

    def find(self, index: Index) -> Place | None:
        """The room, if it is known."""
        return index.by_stream(self.name) if self.by_stream else index.by_name(self.name)


_BELOW: dict[tuple[str, ...], Action] = {
    ("chat",): Action.MESSAGES,
    ("chat", "subscribe"): Action.SUBSCRIBE,
    ("chat", "poll"): Action.POLL,
}
_BELOW |= {("chat", one.value): one for one in (Action.MODERATE, Action.CHATTERS, Action.HELD, Action.STATE)}
_BELOW_CHANNEL = {**_BELOW, **{below[1:]: action for below, action in _BELOW.items() if below[1:]}}


@functools.lru_cache(1024)
def find_route(path: str) -> Route:
    """The route of a path. NotFoundError when there is none."""
    kind, _, rest = path.strip("/").partition("/")
    name, *below = rest.split("/")
    actions = {"streams": _BELOW, "chat": _BELOW_CHANNEL}.get(kind, {})
    action = actions.get(tuple(below))
    if action is None or not name:
        raise NotFoundError("there is nothing here")
    return Route(action, kind == "streams", name)


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    """Parameters of a request; a missing one is None or its default."""

    token: str = ""
    since: Mark | None = None
    before: Mark | None = None
    after: Mark | None = None
    limit: int = 50


_NO_QUERY = Query()


def parse_query(query: str) -> Query:
    """Reads a query string; unknown parameters are left alone. BadInputError naming the one that is wrong."""
    if not query:
        return _NO_QUERY
    try:
        values = dict(urllib.parse.parse_qsl(query, errors="strict", max_num_fields=20))
    except (ValueError, UnicodeDecodeError) as error:
        raise BadInputError("malformed query") from error
    positions = {name: Mark.parse(values[name]) for name in ("since", "before", "after") if values.get(name)}
    limit = values.get("limit", "50")
    if not (limit.isascii() and limit.isdigit()) or len(limit) > 9 or int(limit) < 1:
        raise BadInputError("limit must be a positive number")
    return Query(values.get("token", ""), limit=min(int(limit), _MAX_LIMIT), **positions)


def bearer(authorization: str) -> str:
    """The token of an Authorization field, empty when there is none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
