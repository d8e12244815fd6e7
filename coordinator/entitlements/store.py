"""SQL of follows and subscriptions."""

from datetime import datetime

from psycopg.rows import class_row

from coordinator.db import Connection
from coordinator.entitlements.models import Follow, Standing, Subscription

_SUBSCRIPTION = (
    "select s.subscription_id::text, s.user_id::text, c.name as channel, s.tier, s.started_at, s.expires_at,"
    " s.ended_at, s.gifted_by::text from subscriptions s join channels c using (channel_id)"
)


async def follow(connection: Connection, user_id: str, channel_id: str, now: datetime) -> str | None:
    """The id of what is new; following twice keeps the first moment."""
    cursor = await connection.execute(
        "insert into follows (user_id, channel_id, followed_at) values (%s, %s, %s) on conflict do nothing"
        " returning follow_id::text",
        (user_id, channel_id, now),
    )
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def unfollow(connection: Connection, user_id: str, channel_id: str) -> bool:
    """Whether the user did follow."""
    cursor = await connection.execute(
        "delete from follows where user_id = %s and channel_id = %s", (user_id, channel_id)
    )
    return cursor.rowcount == 1


async def count_follows(connection: Connection, user_id: str) -> int:
    cursor = await connection.execute("select count(*) from follows where user_id = %s", (user_id,))
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def follows_of(connection: Connection, user_id: str) -> list[Follow]:
    async with connection.cursor(row_factory=class_row(Follow)) as cursor:
        await cursor.execute(
            "select c.name as channel, c.channel_id::text, f.followed_at from follows f"
            " join channels c using (channel_id) where f.user_id = %s order by c.name",
            (user_id,),
        )
        return await cursor.fetchall()


async def insert_subscription(connection: Connection, made: Subscription, channel_id: str) -> None:
    await connection.execute(
        "insert into subscriptions (subscription_id, user_id, channel_id, tier, started_at, expires_at,"
        " gifted_by) values (%s, %s, %s, %s, %s, %s, %s)",
        (
            made.subscription_id,
            made.user_id,
            channel_id,
            made.tier,
            made.started_at,
            made.expires_at,
            made.gifted_by,
        ),
    )


async def end_subscription(connection: Connection, subscription_id: str, now: datetime) -> tuple[str, str] | None:
    """Ends it; its user and channel, None when there is no such one. Ending twice keeps the first moment."""
    cursor = await connection.execute(
        "update subscriptions set ended_at = coalesce(ended_at, %s) where subscription_id = %s"
        " returning user_id, channel_id",
        (now, subscription_id),
    )
    row = await cursor.fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


async def subscriptions_of(connection: Connection, user_id: str, limit: int) -> list[Subscription]:
    async with connection.cursor(row_factory=class_row(Subscription)) as cursor:
        await cursor.execute(
            f"{_SUBSCRIPTION} where s.user_id = %s order by s.started_at desc, s.subscription_id desc limit %s",
            (user_id, limit),
        )
        return await cursor.fetchall()


async def standing(connection: Connection, user_id: str, channel_id: str, now: datetime) -> Standing | None:
    """How a user stands to a channel; None when there is no such user."""
    async with connection.cursor(row_factory=class_row(Standing)) as cursor:
        await cursor.execute(
            "select u.suspended, exists (select from follows where user_id = u.user_id"
            " and channel_id = %(channel)s) as follows,"
            " (select max(expires_at) from subscriptions where user_id = u.user_id and channel_id = %(channel)s"
            " and ended_at is null and expires_at > %(now)s) as subscribed_until"
            " from users u where u.user_id = %(user)s",
            {"user": user_id, "channel": channel_id, "now": now},
        )
        return await cursor.fetchone()
