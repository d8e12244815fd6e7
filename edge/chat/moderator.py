"""Actions of moderators: who may do what to whom, and the event that comes of it."""

import asyncio
import dataclasses
import os
from collections.abc import Callable
from typing import Protocol

import msgspec

from appliance.contracts.chat import ChatMessage, ErrorCode
from appliance.contracts.errors import BadInputError, ConflictError, ForbiddenError, NotFoundError
from appliance.contracts.ids import is_uuid7, uuid7
from appliance.contracts.moderation import (
    MAX_FOLLOWERS_MIN,
    MAX_REASON,
    MAX_SLOW_S,
    MAX_TERM,
    MAX_TERMS,
    MAX_TIMEOUT_S,
    MAX_UNIQUE_S,
    EventKind,
    Links,
    ModerationRequest,
    Restriction,
    Role,
    RoomEvent,
    TermKind,
)
from appliance.contracts.nonces import Nonces, derived
from appliance.contracts.room_state import kept_terms
from edge.chat.emotes import is_emote_name
from edge.chat.filters import check_pattern
from edge.chat.folding import term_of
from edge.chat.index import Index, Place
from edge.chat.metrics import Tally
from edge.chat.ranks import Author, Rank, rank_of
from edge.chat.states import RoomStates, Standing
from edge.chat.text import clean

DEFAULT_TIMEOUT_S = 600
_TARGETED = {
    "ban": EventKind.BAN,
    "unban": EventKind.UNBAN,
    "untimeout": EventKind.UNBAN,
    "timeout": EventKind.TIMEOUT,
    "mute": EventKind.MUTE,
    "unmute": EventKind.UNMUTE,
}
_ROLES = {"mod": Role.MODERATOR, "unmod": Role.NONE, "vip": Role.VIP, "unvip": Role.NONE}
_NUMBERS = {
    "slow": ("slow", MAX_SLOW_S),
    "followers": ("followers", MAX_FOLLOWERS_MIN),
    "uniquechat": ("unique", MAX_UNIQUE_S),
}
_SWITCHES = {"subscribers": "subscribers", "emoteonly": "emote_only", "shield": "shield", "hold": "hold"}
_TERMS = {"block": TermKind.WORD, "pattern": TermKind.PATTERN, "permit": TermKind.DOMAIN, "emote": TermKind.EMOTE}
_GIVEN_UP = {
    "unblock": TermKind.WORD,
    "unpattern": TermKind.PATTERN,
    "unpermit": TermKind.DOMAIN,
    "unemote": TermKind.EMOTE,
}
ACTIONS = frozenset(
    (
        *_TARGETED, *_ROLES, *_NUMBERS, *_SWITCHES, *_TERMS, *_GIVEN_UP,
        "delete", "clear", "links", "pin", "unpin", "announce", "raid", "approve", "deny",
    )
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Acted:
    """The event of an action; `durable` ends when it is in the log, or with UnavailableError."""

    event: RoomEvent
    durable: asyncio.Future[None]


class Submit(Protocol):
    """Takes an event into the log, behind `after` where that is given."""

    def __call__(self, event: RoomEvent, after: asyncio.Future[None] | None = None) -> asyncio.Future[None]: ...


class Moderator:
    """Makes events. `submit` takes one into the log, `find` looks for a message of a room in memory, `say` puts an
    approved message into the room, `viewers` counts those in a room; `nonces` knows what the log has."""

    def __init__(
        self,
        edge_id: str,
        states: RoomStates,
        index: Index,
        tally: Tally,
        *,
        submit: Submit,
        find: Callable[[str, str], ChatMessage | None],
        say: Callable[[str, ChatMessage], asyncio.Future[None]],
        viewers: Callable[[str], int],
        nonces: Nonces,
    ) -> None:
        self.edge_id = edge_id
        self._states = states
        self._index = index
        self._tally = tally
        self._submit = submit
        self._find = find
        self._say = say
        self._viewers = viewers
        self._nonces = nonces
        self._last_ms = 0

    def act(
        self, place: Place, actor: Author, wanted: ModerationRequest, now_ms: int, digest: bytes = b""
    ) -> Acted:
        """Does it. `digest`: the same for all tries of one action (appliance.contracts.nonces).

        BadInputError (invalid_action, empty, too_long), ConflictError (is_banned), ForbiddenError (not_allowed),
        NotFoundError (unknown_user, unknown_message, unknown_room), UnavailableError.
        """
        event = self._event(place, actor, wanted, now_ms, digest)
        durable = self._perform(place, event)
        durable.add_done_callback(lambda done: self._settled(event, done))
        self._tally.actions[wanted.action] += 1
        return Acted(event, durable)

    def _settled(self, event: RoomEvent, done: asyncio.Future[None]) -> None:
        """It holds here for whoever hears that it is durable; that the log brings it again does no harm."""
        if not done.cancelled() and done.exception() is None and self._nonces.is_first(event.event_id):
            self._states.apply(event)

    def require(self, place: Place, actor: Author, rank: Rank, now_ms: int) -> None:
        """ForbiddenError (not_allowed) unless the actor has that rank."""
        if actor.rank(place, self._states.standing(place.room_id, actor.user_id, now_ms)) < rank:
            raise ForbiddenError("you may not do that in this room", code=ErrorCode.NOT_ALLOWED)

    def _perform(self, place: Place, event: RoomEvent) -> asyncio.Future[None]:
        """The event comes last: whoever finds it in the log finds all that was done."""
        if event.event is EventKind.APPROVE and event.message is not None and self._is_held_here(event):
            return self._submit(event, self._say(event.room, event.message))
        if event.event is EventKind.RAID:
            target = self._index.by_name(event.target)
            if target is not None:
                coming = msgspec.structs.replace(
                    event,
                    event_id=derived(event.event_id, event.event),
                    room=target.room_id,
                    origin=place.channel,
                )
                return self._submit(event, self._submit(coming))
        return self._submit(event)

    def _is_held_here(self, event: RoomEvent) -> bool:
        """Whether it is this edge that says the message: where its author is."""
        held = self._states.of(event.room).held.get(event.message_id)
        return held is not None and held.edge_id == self.edge_id

    # -- events

    def _next_ms(self, now_ms: int, newest_ms: int) -> int:
        """Later than every one before, also within a millisecond or when another site's clock is ahead: of two
        actions the later one holds."""
        self._last_ms = max(now_ms, self._last_ms + 1, newest_ms + 1)
        return self._last_ms

    def _event(
        self, place: Place, actor: Author, wanted: ModerationRequest, now_ms: int, digest: bytes
    ) -> RoomEvent:
        action = wanted.action
        if action not in ACTIONS:
            raise _invalid(f"there is no action {action[:40]!r}")
        owners = action in _ROLES or action == "raid"
        self.require(place, actor, Rank.OWNER if owners else Rank.MODERATOR, now_ms)
        if len(wanted.reason) > MAX_REASON or "\x00" in wanted.reason:
            raise _invalid(f"a reason has at most {MAX_REASON} characters")
        fields = self._fields(place, actor, wanted, now_ms)
        newest_ms = self._states.newest_ms(place.room_id, str(fields.get("target_id", "")))
        return RoomEvent(
            event_id=uuid7(self._next_ms(now_ms, newest_ms), digest or os.urandom(10)),
            room=place.room_id,
            edge_id=self.edge_id,
            timestamp=now_ms,
            actor_id=actor.user_id,
            actor=actor.username,
            reason=wanted.reason,
            **fields,  # type: ignore[arg-type]
        )

    def _fields(self, place: Place, actor: Author, wanted: ModerationRequest, now_ms: int) -> dict[str, object]:
        action = wanted.action
        if action in _TARGETED or action in _ROLES:
            return self._against(place, actor, wanted, now_ms)
        if action in _NUMBERS or action in _SWITCHES or action == "links":
            return {"event": EventKind.MODE, "modes": _modes(wanted)}
        if action in _TERMS or action in _GIVEN_UP:
            return self._term(place, wanted)
        if action in ("delete", "pin", "approve", "deny"):
            return self._about(place, wanted)
        if action == "announce":
            return {"event": EventKind.ANNOUNCE, "text": clean(wanted.text)}
        if action == "raid":
            return self._raid(place, wanted)
        return {"event": EventKind(action)}

    def _against(self, place: Place, actor: Author, wanted: ModerationRequest, now_ms: int) -> dict[str, object]:
        user = self._index.user_named(wanted.target.removeprefix("@"))
        if user is None:
            raise NotFoundError("there is no such user", code=ErrorCode.UNKNOWN_USER)
        standing = self._states.standing(place.room_id, user.user_id, now_ms)
        mine = actor.rank(place, self._states.standing(place.room_id, actor.user_id, now_ms))
        if user.user_id == actor.user_id or rank_of(place, user.user_id, standing) >= mine:
            raise ForbiddenError("you may not do that to this user", code=ErrorCode.NOT_ALLOWED)
        fields: dict[str, object] = {"target_id": user.user_id, "target": user.username}
        if wanted.action in _ROLES:
            return {**fields, "event": EventKind.ROLE, "role": _ROLES[wanted.action]}
        _check_change(wanted.action, standing, user.username)
        fields["event"] = _TARGETED[wanted.action]
        if wanted.action == "timeout":
            seconds = DEFAULT_TIMEOUT_S if wanted.seconds is None else wanted.seconds
            if not 1 <= seconds <= MAX_TIMEOUT_S:
                raise _invalid(f"a timeout is 1 to {MAX_TIMEOUT_S} seconds")
            fields["until"] = now_ms + seconds * 1000
        return fields

    def _term(self, place: Place, wanted: ModerationRequest) -> dict[str, object]:
        on = wanted.action in _TERMS
        kind = _TERMS[wanted.action] if on else _GIVEN_UP[wanted.action]
        text = wanted.text.strip()
        if not 0 < len(text) <= MAX_TERM or "\x00" in text:
            raise _invalid(f"a term has 1 to {MAX_TERM} characters")
        known = list(kept_terms(self._states.record(place.room_id)))
        if on and len(known) >= MAX_TERMS:
            raise _invalid(f"a room has at most {MAX_TERMS} terms")
        if on and kind is TermKind.PATTERN:
            check_pattern(text, sum(one == TermKind.PATTERN for one, _ in known))
        elif on and kind is TermKind.WORD and not term_of(text):
            raise _invalid("a term needs a letter or a digit")
        elif on and kind is TermKind.EMOTE and not is_emote_name(text):
            raise _invalid("the name of an emote is 2 to 32 letters, digits and _")
        return {
            "event": EventKind.TERM,
            "kind": kind,
            "text": text.lower() if kind is TermKind.DOMAIN else text,
            "on": on,
        }

    def _about(self, place: Place, wanted: ModerationRequest) -> dict[str, object]:
        if not is_uuid7(wanted.message_id):
            raise _invalid("message_id is not a message id")
        if wanted.action in ("approve", "deny"):
            held = self._states.of(place.room_id).held.get(wanted.message_id)
            if held is None or held.message is None:
                raise NotFoundError("no such message waits", code=ErrorCode.UNKNOWN_MESSAGE)
            said = held.message
        else:
            found = self._find(place.room_id, wanted.message_id)
            if found is None and wanted.action == "delete":  # it may be in the log, or with another edge
                return {"event": EventKind.DELETE, "message_id": wanted.message_id}
            if found is None:
                raise NotFoundError("there is no such message", code=ErrorCode.UNKNOWN_MESSAGE)
            said = found
        fields: dict[str, object] = {"message_id": wanted.message_id}
        fields |= {"target_id": said.user_id, "target": said.username}
        if wanted.action in ("pin", "approve"):
            fields["message"] = said
        return {**fields, "event": EventKind(wanted.action)}

    def _raid(self, place: Place, wanted: ModerationRequest) -> dict[str, object]:
        target = self._index.by_name(wanted.target.lstrip("@#").lower())
        if target is None or target.room_id == place.room_id:
            raise NotFoundError("there is no such channel to raid", code=ErrorCode.UNKNOWN_ROOM)
        return {
            "event": EventKind.RAID,
            "target": target.channel,
            "count": self._viewers(place.room_id),
        }


def _check_change(action: str, standing: Standing, username: str) -> None:
    """A ban ends by an unban alone, and nobody is let in by an action that is about something else.

    ConflictError (is_banned), BadInputError (invalid_action).
    """
    if standing.restriction is Restriction.BAN and action not in ("ban", "unban"):
        raise ConflictError(f"{username} is banned: that ends with unban", code=ErrorCode.IS_BANNED)
    if action == "unmute" and standing.restriction is Restriction.TIMEOUT:
        raise _invalid(f"{username} is timed out, not muted: that ends with untimeout")
    if action == "untimeout" and standing.restriction is Restriction.MUTE:
        raise _invalid(f"{username} is muted, not timed out: that ends with unmute")


def _modes(wanted: ModerationRequest) -> dict[str, int | bool | str]:
    """What a mode becomes: `value`, or `seconds` where that is what counts; false or 0 end it."""
    action, value = wanted.action, wanted.value
    if action == "links":
        if value not in tuple(Links):
            raise _invalid("links are allow, moderators or block")
        return {"links": str(value)}
    if action in _SWITCHES:
        if not isinstance(value, bool | None):
            raise _invalid("value is true or false")
        return {_SWITCHES[action]: value is not False}
    name, most = _NUMBERS[action]
    off = -1 if name == "followers" else 0
    if value is None:
        value = wanted.seconds or 0
    if value is False:
        return {name: off}
    if isinstance(value, bool | str) or not (0 <= value <= most or value == off):
        raise _invalid(f"value is 0 to {most}, or false")
    return {name: value}


def _invalid(detail: str) -> BadInputError:
    return BadInputError(detail, code=ErrorCode.INVALID_ACTION)
