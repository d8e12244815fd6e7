"""Chat as it is stored and asked for."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from appliance.contracts.chat import ChatMessage, Emote, Parent
from appliance.contracts.errors import BadInputError
from appliance.contracts.ids import is_uuid7
from appliance.contracts.moderation import EventKind, RoomEvent
from coordinator.times import from_ms

PURGE = timedelta(days=1)  # how far back a ban, a timeout or a clear takes messages away
_MAX_USER_ID = 200


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message as it is stored."""

    message_id: str
    stream_id: str | None
    channel_id: str
    user_id: str
    username: str
    body: str
    badges: list[str]
    emotes: list[Emote]
    reply_to: str | None
    sent_at: datetime
    parent: Parent | None = None
    mentions: list[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What a moderator's event takes away in a room: one message, or what was said after `since` until `until`.

    Without `message_id` it is about all messages of `user_id`, or of everybody when that is empty too.
    """

    event_id: str
    channel_id: str
    until: datetime
    message_id: str = ""
    user_id: str = ""

    @property
    def since(self) -> datetime:
        return self.until - PURGE


@dataclass(frozen=True, slots=True)
class Page:
    """Messages in the order they were made; `more` tells whether the page was cut."""

    rows: list[MessageRow]
    more: bool


class NewMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /streams/{stream_id}/chat."""

    user_id: str
    message: str
    nonce: str = ""  # the same message with the same nonce is posted once


class PostedMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`timestamp` is Unix milliseconds. `held`: a moderator looks at it first."""

    message_id: str
    timestamp: int
    held: bool = False


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Messages in the order they were made; `more` tells whether the page was cut."""

    stream_id: str
    messages: list[ChatMessage]
    more: bool


class RoomHistory(msgspec.Struct, frozen=True, kw_only=True):
    """The same of a channel's room, on the air or not."""

    channel: str
    messages: list[ChatMessage]
    more: bool


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`before` and `after` are each a message id or Unix milliseconds. Neither: the newest messages."""

    before: str = ""
    after: str = ""
    limit: int = 50


def row_of(room: str, message: ChatMessage) -> MessageRow:
    """The row of a message of a room. BadInputError when a field can never be stored as it is."""
    ids = (room, message.message_id, message.stream_id or room)
    if not all(is_uuid7(identifier) for identifier in ids):
        raise BadInputError("a chat message without proper ids", code="message_ids")
    reply_to = message.reply_to if isinstance(message.reply_to, str) and message.reply_to else None
    words = (message.user_id, message.username, message.message, reply_to or "")
    parent = message.parent if isinstance(message.parent, Parent) else None
    mentions = message.mentions if isinstance(message.mentions, list) else None
    shown = [one.name for one in message.emotes] + (mentions or [])
    if parent is not None:
        shown += [parent.user_id, parent.username, parent.text]
    if any("\x00" in text for text in (*words, *message.badges, *shown)):
        raise BadInputError("a chat message with a NUL character", code="message_nul")
    return MessageRow(
        message_id=message.message_id,
        stream_id=message.stream_id or None,
        channel_id=room,
        user_id=message.user_id,
        username=message.username,
        body=message.message,
        badges=message.badges,
        emotes=message.emotes,
        reply_to=reply_to,
        sent_at=from_ms(message.timestamp),
        parent=parent,
        mentions=mentions,
    )


def removal_of(event: RoomEvent) -> Removal | None:
    """What an event takes away; None when that is nothing. BadInputError when it can never be stored."""
    until = from_ms(event.timestamp)
    if event.event is EventKind.DELETE:
        return Removal(event_id=event.event_id, channel_id=event.room, until=until, message_id=event.message_id)
    if event.event in (EventKind.BAN, EventKind.TIMEOUT):
        if not 0 < len(event.target_id) <= _MAX_USER_ID:
            raise BadInputError("the event names no user", code="event_ids")
        return Removal(event_id=event.event_id, channel_id=event.room, until=until, user_id=event.target_id)
    if event.event is EventKind.CLEAR:
        return Removal(event_id=event.event_id, channel_id=event.room, until=until)
    return None
