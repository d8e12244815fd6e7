"""Moderation as the gateway's connections meet it: who is present, what is told to whom, the calls over HTTP."""

from typing import TYPE_CHECKING, Protocol

import msgspec

from appliance.contracts.chat import MAX_NONCE, ErrorCode
from appliance.contracts.errors import BadInputError, NearcastError, NotFoundError, UnauthenticatedError
from appliance.contracts.moderation import (
    EVERY_ROOM,
    EventKind,
    FollowRecord,
    ModerationAnswer,
    ModerationRequest,
    Restriction,
    Role,
    RoomEvent,
    SubscriberRecord,
)
from appliance.contracts.room_state import emote_names, kept_terms
from appliance.runtime.clock import now_ms
from edge.chat.answers import document
from edge.chat.commands import listing
from edge.chat.happenings import happened_ms, is_private, moderators_frame, news_frame
from edge.chat.index import Place
from edge.chat.presence import Presence, Seat
from edge.chat.ranks import Author, Rank, author_of, rank_of
from edge.chat.routes import Action

if TYPE_CHECKING:
    from edge.chat.server import ChatServer


class Present(Protocol):
    """Somebody's place in a room, once it is known whose it is."""

    def tell(self, document: bytes) -> None:
        """JSON that is for moderators only."""

    def shut_out(self) -> None:
        """The user may not even be there any more."""


_SHOWN = 1000  # chatters of an answer
_NEWS_MS = 60_000
_EVERYWHERE = Place(EVERY_ROOM, "", "", "")
_TERMS = frozenset(("block", "unblock", "pattern", "unpattern", "permit", "unpermit", "emote", "unemote"))


class Moderation:
    """Uses the rules' moderator; holds who is here."""

    def __init__(self, server: "ChatServer") -> None:
        self.presence: Presence[Present] = Presence()
        self._server = server

    # -- those who are here

    def enter(self, connection: Present, place: Place, author: Author) -> dict[str, object]:
        """A connection has said who it is; the user as hello shows them."""
        now = now_ms()
        standing = self._server.rules.states.standing(place.room_id, author.user_id, now)
        moderates = author.rank(place, standing) >= Rank.MODERATOR
        self.presence.enter(connection, Seat(place.room_id, author.user_id, author.username, moderates))
        badges = author.badges_in(place, standing, now)
        return {**author.document(place), "badges": badges, "moderator": moderates}

    def is_banned(self, place: Place, user_id: str) -> bool:
        """Whether the user may not even be there."""
        standing = self._server.rules.states.standing(place.room_id, user_id, now_ms())
        return standing.restriction is Restriction.BAN and user_id != place.owner_id

    def happened(self, event: RoomEvent) -> None:
        """After an event of the log or of another edge: tells moderators, shuts out who is banned, gives rights."""
        if is_private(event):
            document = moderators_frame(event)
            for connection in self.presence.moderators(event.room):
                connection.tell(document)
        if event.event is EventKind.BAN:
            for connection in self.presence.of_user(event.room, event.target_id):
                connection.shut_out()
        if event.event is EventKind.ROLE:
            for connection in self.presence.of_user(event.room, event.target_id):
                moderates = event.role is Role.MODERATOR
                self.presence.enter(connection, Seat(event.room, event.target_id, event.target, moderates))

    def news(self, record: FollowRecord | SubscriberRecord) -> None:
        """Tells the room that somebody has just followed or subscribed; what is older was told in its time."""
        room = self._server.rooms.known(record.channel_id)
        if room is not None and room.in_use and happened_ms(record) > now_ms() - _NEWS_MS:
            room.event(news_frame(record))

    # -- calls

    async def act(self, place: Place, token: str, body: bytes, key: str = "") -> bytes:
        """201 when the action is durable. `key`: its nonce, where the body has none."""
        author = self._author(token)
        try:
            wanted = msgspec.json.decode(body, type=ModerationRequest)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise BadInputError("expected {action, ...}", code=ErrorCode.INVALID_FRAME) from error
        return document(201, await self._act(place, author, wanted, wanted.nonce or key))

    async def acted_for(self, wanted: ModerationRequest) -> ModerationAnswer:
        """An action of somebody whom the centre has authenticated; the answer in either case."""
        try:
            place = self._place(wanted)
            author = Author(wanted.actor_id, wanted.actor, operator=wanted.operator)
            done = await self._act(place, author, wanted, wanted.nonce)
            return ModerationAnswer(event_id=str(done["event_id"]), timestamp=int(str(done["timestamp"])))
        except NearcastError as error:
            return ModerationAnswer(
                code=str(error.code),
                detail=error.detail,
                status=error.status,
                retry_after_s=error.retry_after_s or 0.0,
            )

    def _place(self, wanted: ModerationRequest) -> Place:
        if wanted.channel_id == EVERY_ROOM:
            if not wanted.operator or wanted.action not in _TERMS:
                raise BadInputError("only terms hold in every room", code=ErrorCode.INVALID_ACTION)
            return _EVERYWHERE
        place = self._server.index.by_channel(wanted.channel_id)
        if place is None:
            raise NotFoundError("no such room here", code=ErrorCode.UNKNOWN_ROOM)
        return place

    async def _act(self, place: Place, author: Author, wanted: ModerationRequest, nonce: str) -> dict[str, object]:
        if len(nonce) > MAX_NONCE:
            raise BadInputError(f"a nonce has at most {MAX_NONCE} characters", code=ErrorCode.INVALID_FRAME)
        rules = self._server.rules
        accepted = rules.act(place, author, wanted, nonce)
        await accepted.durable
        event_id, timestamp = rules.first_of(accepted)
        return {"event_id": event_id, "timestamp": timestamp}

    def show(self, action: Action, place: Place, token: str) -> bytes:
        """The answer to GET of chatters, held, state."""
        if action is Action.CHATTERS:
            return document(200, self._chatters(place))
        if action is Action.HELD:
            self._require(place, token)
            held = self._server.rules.states.of(place.room_id).held
            return document(200, {"held": list(held.values())})
        return document(200, self._state(place, token))

    def _chatters(self, place: Place) -> dict[str, object]:
        room = self._server.rooms.known(place.room_id)
        found: list[dict[str, object]] = []
        now, states = now_ms(), self._server.rules.states
        for seat in self.presence.users(place.room_id):
            if len(found) >= _SHOWN:
                break
            rank = rank_of(place, seat.user_id, states.standing(place.room_id, seat.user_id, now))
            found.append({"user_id": seat.user_id, "username": seat.username, "rank": rank.name.lower()})
        return {
            "connections": 0 if room is None else room.readers,
            "count": self.presence.count(place.room_id),
            "chatters": found,
        }

    def _state(self, place: Place, token: str) -> dict[str, object]:
        states = self._server.rules.states
        record = states.record(place.room_id)
        found: dict[str, object] = {
            "modes": states.modes(place.room_id),
            "pin": states.pin(place.room_id),
            "emotes": {"global": emote_names(states.record(EVERY_ROOM)), "channel": emote_names(record)},
        }
        if not token:
            return found
        author = self._author(token)
        rank = author.rank(place, states.standing(place.room_id, author.user_id, now_ms()))
        found |= {"rank": rank.name.lower(), "commands": listing(rank)}
        if rank >= Rank.MODERATOR:
            found["terms"] = [{"kind": kind, "text": text} for kind, text in kept_terms(record)]
            found["members"] = [
                one for one in states.of(place.room_id).members.values() if one.role or one.restriction
            ][:_SHOWN]
        return found

    def _require(self, place: Place, token: str) -> None:
        self._server.rules.moderator.require(place, self._author(token), Rank.MODERATOR, now_ms())

    def _author(self, token: str) -> Author:
        if not token:
            raise UnauthenticatedError("a token is needed")
        return author_of(self._server.index.user_of(token, now_ms()))
