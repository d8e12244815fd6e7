"""Moderation as it is stored and asked for."""

from dataclasses import dataclass

import msgspec

from appliance.contracts.chat import ChatMessage
from appliance.contracts.moderation import MemberRecord, Modes, RoomEvent


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A record as JSON, under the id by which the directory finds it."""

    id: str
    record: object


class NewAction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /moderation/{channel}/actions; what each action needs is in docs of the edge's call."""

    action: str
    target: str = ""
    message_id: str = ""
    seconds: int | None = None
    reason: str = ""
    text: str = ""
    value: int | bool | str | None = None


class DoneAction(msgspec.Struct, frozen=True, kw_only=True):
    """The event that came of an action; `timestamp` is Unix milliseconds."""

    event_id: str
    timestamp: int


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`before` is an event's id, `target` a user's."""

    before: str = ""
    target: str = ""
    limit: int = 50


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """Events of a room, the newest first; `more` tells whether the page was cut."""

    channel: str
    events: list[RoomEvent]
    more: bool


class TermView(msgspec.Struct, frozen=True, kw_only=True):
    """A blocked word or pattern, an allowed domain, an emote."""

    kind: str
    text: str


class RoomView(msgspec.Struct, frozen=True, kw_only=True):
    """What holds in a room, as its moderators see it."""

    channel: str
    modes: Modes
    pin: ChatMessage | None
    terms: list[TermView]
    members: list[MemberRecord]
