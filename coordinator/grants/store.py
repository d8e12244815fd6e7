"""SQL of grant keys and revocations."""

from datetime import datetime

from psycopg.rows import class_row

from coordinator.db import Connection
from coordinator.grants.models import KeyRow


async def insert_key(connection: Connection, row: KeyRow, public: str) -> None:
    await connection.execute(
        "insert into grant_keys (grant_key_id, key_id, public_key, signs_from, signs_until, retires_at)"
        " values (%s, %s, %s, %s, %s, %s)",
        (row.grant_key_id, row.key_id, public, row.signs_from, row.signs_until, row.retires_at),
    )


async def valid_keys(connection: Connection, now: datetime) -> list[KeyRow]:
    """Keys that may verify, the oldest first."""
    async with connection.cursor(row_factory=class_row(KeyRow)) as cursor:
        await cursor.execute(
            "select grant_key_id, key_id, signs_from, signs_until, retires_at, revoked_at from grant_keys"
            " where revoked_at is null and retires_at > %s order by signs_from, grant_key_id",
            (now,),
        )
        return await cursor.fetchall()


async def revoke_key(connection: Connection, key_id: str, now: datetime) -> str | None:
    """The row's id, None when there is no such key. Revoking twice keeps the first moment."""
    cursor = await connection.execute(
        "update grant_keys set revoked_at = coalesce(revoked_at, %s) where key_id = %s returning grant_key_id",
        (now, key_id),
    )
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def revoke(
    connection: Connection, revocation_id: str, user_id: str, channel_id: str | None, until: datetime
) -> str:
    """Voids a user's grants; the id under which that is kept, the first of its user and channel."""
    cursor = await connection.execute(
        "insert into grant_revocations as r (revocation_id, user_id, channel_id, until) values (%s, %s, %s, %s)"
        " on conflict (user_id, coalesce(channel_id, '00000000-0000-0000-0000-000000000000'))"
        " do update set until = greatest(r.until, excluded.until) returning revocation_id",
        (revocation_id, user_id, channel_id, until),
    )
    row = await cursor.fetchone()
    assert row is not None
    return str(row[0])


async def forget_old(connection: Connection) -> None:
    """Drops what no grant that could still be renewed depends on."""
    await connection.execute("delete from grant_revocations where until < now() - interval '2 days'")
    await connection.execute("delete from grant_keys where retires_at < now() - interval '2 days'")
