"""SQL of users and tokens."""

from datetime import datetime

from psycopg.rows import class_row

from coordinator.accounts.models import CallerRow, UserRow
from coordinator.db import Connection


async def insert_user(connection: Connection, user_id: str, username: str) -> None:
    """ConflictError when the name is taken, in any spelling of case."""
    await connection.execute("insert into users (user_id, username) values (%s, %s)", (user_id, username))


async def user_by_id(connection: Connection, user_id: str) -> UserRow | None:
    async with connection.cursor(row_factory=class_row(UserRow)) as cursor:
        await cursor.execute(
            "select user_id, username, suspended, badges from users where user_id = %s", (user_id,)
        )
        return await cursor.fetchone()


async def user_by_name(connection: Connection, username: str) -> UserRow | None:
    async with connection.cursor(row_factory=class_row(UserRow)) as cursor:
        await cursor.execute(
            "select user_id, username, suspended, badges from users where lower(username) = lower(%s)",
            (username,),
        )
        return await cursor.fetchone()


async def set_suspended(connection: Connection, user_id: str, suspended: bool) -> None:
    await connection.execute("update users set suspended = %s where user_id = %s", (suspended, user_id))


async def channel_id_of(connection: Connection, user_id: str) -> str | None:
    cursor = await connection.execute("select channel_id from channels where user_id = %s", (user_id,))
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def insert_token(
    connection: Connection,
    token_id: str,
    token_hash: str,
    user_id: str,
    scopes: list[str],
    expires_at: datetime | None,
) -> None:
    await connection.execute(
        "insert into tokens (token_id, token_hash, user_id, scopes, expires_at) values (%s, %s, %s, %s, %s)",
        (token_id, token_hash, user_id, scopes, expires_at),
    )


async def caller_by_hash(connection: Connection, token_hash: str) -> CallerRow | None:
    async with connection.cursor(row_factory=class_row(CallerRow)) as cursor:
        await cursor.execute(
            "select t.token_id, t.user_id, u.username, t.scopes, t.expires_at, t.revoked_at"
            " from tokens t join users u using (user_id) where t.token_hash = %s",
            (token_hash,),
        )
        return await cursor.fetchone()


async def revoke_token(connection: Connection, user_id: str, token_id: str) -> bool:
    """Whether the user has such a token. Revoking twice keeps the first moment."""
    cursor = await connection.execute(
        "update tokens set revoked_at = coalesce(revoked_at, now()) where token_id = %s and user_id = %s",
        (token_id, user_id),
    )
    return cursor.rowcount == 1


async def lock_operators(connection: Connection) -> None:
    """Until the transaction ends, nobody else decides whether an operator exists."""
    await connection.execute("select pg_advisory_xact_lock(hashtext('nearcast.operator'))")


async def operator_token_exists(connection: Connection) -> bool:
    cursor = await connection.execute(
        "select 1 from tokens where 'operator' = any (scopes) and revoked_at is null"
        " and (expires_at is null or expires_at > now()) limit 1"
    )
    return await cursor.fetchone() is not None


async def channel_name_of(connection: Connection, user_id: str) -> str | None:
    cursor = await connection.execute("select name from channels where user_id = %s", (user_id,))
    row = await cursor.fetchone()
    return None if row is None else str(row[0])
