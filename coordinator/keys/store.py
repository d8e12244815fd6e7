"""SQL of stream keys."""

from datetime import datetime

from psycopg.rows import class_row

from coordinator.db import Connection
from coordinator.keys.models import KeyRow


async def insert(
    connection: Connection,
    key_id: str,
    key_hash: str,
    channel_id: str,
    *,
    label: str,
    standby: bool,
    expires_at: datetime | None,
) -> None:
    await connection.execute(
        "insert into stream_keys (key_id, key_hash, channel_id, label, standby, expires_at)"
        " values (%s, %s, %s, %s, %s, %s)",
        (key_id, key_hash, channel_id, label, standby, expires_at),
    )


async def valid(connection: Connection, channel_id: str) -> list[KeyRow]:
    """The channel's keys that are neither revoked nor expired, oldest first; locked until the unit's end."""
    async with connection.cursor(row_factory=class_row(KeyRow)) as cursor:
        await cursor.execute(
            "select key_id, label, standby, stream_id, created_at, expires_at from stream_keys"
            " where channel_id = %s and revoked_at is null and (expires_at is null or expires_at > now())"
            " order by key_id for update",
            (channel_id,),
        )
        return await cursor.fetchall()


async def revoke(connection: Connection, key_id: str) -> None:
    await connection.execute(
        "update stream_keys set revoked_at = now() where key_id = %s and revoked_at is null", (key_id,)
    )
