"""SQL of channels and stream keys."""

from datetime import datetime

from psycopg.rows import class_row

from coordinator.channels.models import ChangedChannel, ChannelRow
from coordinator.db import Connection


async def insert_channel(connection: Connection, channel_id: str, name: str, user_id: str, title: str) -> None:
    """ConflictError when the name is taken or the user has a channel."""
    await connection.execute(
        "insert into channels (channel_id, name, user_id, title) values (%s, %s, %s, %s)",
        (channel_id, name, user_id, title),
    )


async def channel_by_name(connection: Connection, name: str) -> ChannelRow | None:
    async with connection.cursor(row_factory=class_row(ChannelRow)) as cursor:
        await cursor.execute(
            "select c.channel_id, c.name, c.user_id, u.username, c.title, c.category,"
            " c.suspended or u.suspended as suspended, u.is_partner as partner, c.profile, c.access,"
            " b.stream_id, b.status, b.started_at"
            " from channels c join users u using (user_id) left join lateral ("
            "  select stream_id, status, started_at from broadcasts where channel_id = c.channel_id"
            "  and status in ('live', 'interrupted') order by stream_id desc limit 1) b on true"
            " where c.name = %s",
            (name,),
        )
        return await cursor.fetchone()


async def name_of_user(connection: Connection, user_id: str) -> str | None:
    """The name of the user's channel."""
    cursor = await connection.execute("select name from channels where user_id = %s", (user_id,))
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def list_channels(connection: Connection, after: str, limit: int, *, live: bool) -> list[ChannelRow]:
    """By name, beginning behind `after`; suspended ones are not shown."""
    async with connection.cursor(row_factory=class_row(ChannelRow)) as cursor:
        await cursor.execute(
            "select c.channel_id, c.name, c.user_id, u.username, c.title, c.category,"
            " false as suspended, u.is_partner as partner, c.profile, c.access, b.stream_id, b.status, b.started_at"
            " from channels c join users u using (user_id) left join lateral ("
            "  select stream_id, status, started_at from broadcasts where channel_id = c.channel_id"
            "  and status in ('live', 'interrupted') order by stream_id desc limit 1) b on true"
            " where c.name > %s and not c.suspended and not u.suspended"
            " and (not %s or b.stream_id is not null)"
            " order by c.name limit %s",
            (after, live, limit),
        )
        return await cursor.fetchall()


async def update_channel(connection: Connection, channel_id: str, wanted: ChangedChannel) -> None:
    """None leaves a field as it is."""
    await connection.execute(
        "update channels set title = coalesce(%s, title), category = coalesce(%s, category),"
        " suspended = coalesce(%s, suspended), profile = coalesce(%s, profile), access = coalesce(%s, access)"
        " where channel_id = %s",
        (wanted.title, wanted.category, wanted.suspended, wanted.profile, wanted.access, channel_id),
    )


async def void_grants(connection: Connection, channel_id: str, now: datetime) -> None:
    """Grants that were issued until now open this channel no longer."""
    await connection.execute("update channels set access_changed_at = %s where channel_id = %s", (now, channel_id))


async def set_partner(connection: Connection, user_id: str, is_partner: bool) -> None:
    await connection.execute("update users set is_partner = %s where user_id = %s", (is_partner, user_id))


async def insert_key(
    connection: Connection,
    key_id: str,
    key_hash: str,
    channel_id: str,
    stream_id: str | None,
    expires_at: datetime | None,
) -> None:
    await connection.execute(
        "insert into stream_keys (key_id, key_hash, channel_id, stream_id, expires_at) values (%s, %s, %s, %s, %s)",
        (key_id, key_hash, channel_id, stream_id, expires_at),
    )


async def revoke_keys(connection: Connection, channel_id: str) -> list[str]:
    """Revokes every key of the channel and returns the ids of those that were valid until now."""
    cursor = await connection.execute(
        "update stream_keys set revoked_at = now() where channel_id = %s and revoked_at is null returning key_id",
        (channel_id,),
    )
    return [str(row[0]) for row in await cursor.fetchall()]


async def unbind_keys(connection: Connection, stream_id: str) -> list[str]:
    """Keys made for this stream become plain keys of their channel; returns their ids."""
    cursor = await connection.execute(
        "update stream_keys set stream_id = null where stream_id = %s returning key_id", (stream_id,)
    )
    return [str(row[0]) for row in await cursor.fetchall()]
