"""The statements of the history, prepared for one keyspace, and what their rows are."""

from dataclasses import dataclass, fields
from datetime import UTC
from typing import Any
from uuid import UUID

import msgspec
from cassandra.query import UNSET_VALUE, PreparedStatement

from appliance.contracts.chat import Emote, Parent
from coordinator.chat_history.cassandra.buckets import bucket_of
from coordinator.chat_history.cassandra.session import Session, Values
from coordinator.chat_history.models import MessageRow
from coordinator.times import to_ms

_READ = (
    "message_id, removed_by, stream_id, user_id, username, body, badges, emotes, reply_to, sent_at, parent,"
    " mentions"
)
_PAGE = (
    f"select {_READ} from {{0}}.chat_messages where channel_id = ? and bucket = ? and message_id > ?"  # noqa: S608
    " and message_id < ? order by message_id {1} limit ?"
)
_BUCKETS = (
    "select bucket from {0}.chat_buckets where owner_id = ? and bucket >= ? and bucket <= ?"
    " order by bucket {1} limit ?"
)
_SPAN = "select user_id, since, until from {0}.chat_removals where channel_id = ? and day = ?"


@dataclass(frozen=True, slots=True)
class Statements:
    """Everything that is asked of the cluster."""

    insert: PreparedStatement
    hide: PreparedStatement
    note_bucket: PreparedStatement
    note_removal: PreparedStatement
    newest: PreparedStatement
    oldest: PreparedStatement
    newest_buckets: PreparedStatement
    oldest_buckets: PreparedStatement
    removals: PreparedStatement
    removals_of: PreparedStatement


_TEXTS = {
    "insert": "insert into {0}.chat_messages (channel_id, bucket, message_id, stream_id, user_id, username, body,"
    " badges, emotes, reply_to, sent_at, parent, mentions)"
    " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) using ttl ?",
    "hide": "update {0}.chat_messages using ttl ? set removed_by = ?"
    " where channel_id = ? and bucket = ? and message_id = ?",
    "note_bucket": "insert into {0}.chat_buckets (owner_id, bucket) values (?, ?) using ttl ?",
    "note_removal": "insert into {0}.chat_removals (channel_id, day, user_id, event_id, since, until)"
    " values (?, ?, ?, ?, ?, ?) using ttl ?",
    "newest": _PAGE.replace("{1}", "desc"),
    "oldest": _PAGE.replace("{1}", "asc"),
    "newest_buckets": _BUCKETS.replace("{1}", "desc"),
    "oldest_buckets": _BUCKETS.replace("{1}", "asc"),
    "removals": f"{_SPAN} limit ?",
    "removals_of": f"{_SPAN} and user_id in ?",
}


async def prepare(session: Session, keyspace: str) -> Statements:
    """All statements. UnavailableError."""
    made = {
        field.name: await session.prepare(_TEXTS[field.name].replace("{0}", keyspace))
        for field in fields(Statements)
    }
    return Statements(**made)


def values_of(row: MessageRow, seconds: int) -> Values:
    """A message for `insert`. What it does not have is left out: a null would be a tombstone."""
    return (
        UUID(row.channel_id),
        bucket_of(row.message_id),
        UUID(row.message_id),
        UNSET_VALUE if row.stream_id is None else UUID(row.stream_id),
        row.user_id,
        row.username,
        row.body,
        _json(row.badges),
        _json(row.emotes),
        UNSET_VALUE if row.reply_to is None else row.reply_to,
        to_ms(row.sent_at),
        _json(row.parent),
        _json(row.mentions),
        seconds,
    )


def _json(value: object) -> object:
    return msgspec.json.encode(value).decode() if value else UNSET_VALUE


def row_of(channel_id: str, stored: tuple[Any, ...]) -> MessageRow | None:
    """A message of a page; None when it was removed, or when only its removal has come."""
    (
        message_id,
        removed_by,
        stream_id,
        user_id,
        username,
        body,
        badges,
        emotes,
        reply_to,
        sent_at,
        parent,
        mentions,
    ) = stored
    if removed_by is not None or sent_at is None:
        return None
    return MessageRow(
        message_id=str(message_id),
        stream_id=None if stream_id is None else str(stream_id),
        channel_id=channel_id,
        user_id=user_id,
        username=username,
        body=body,
        badges=msgspec.json.decode(badges, type=list[str]) if badges else [],
        emotes=msgspec.json.decode(emotes, type=list[Emote]) if emotes else [],
        reply_to=reply_to,
        sent_at=sent_at.replace(tzinfo=UTC),
        parent=msgspec.json.decode(parent, type=Parent) if parent else None,
        mentions=msgspec.json.decode(mentions, type=list[str]) if mentions else None,
    )
