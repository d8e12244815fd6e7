"""SQL of a stream key that an encoder shows."""

from psycopg.rows import class_row

from coordinator.client_configuration.models import KeyState
from coordinator.db import Connection


async def find_key(connection: Connection, key_hash: str) -> KeyState | None:
    async with connection.cursor(row_factory=class_row(KeyState)) as cursor:
        await cursor.execute(
            "select k.revoked_at is not null as revoked, k.expires_at, c.suspended or u.suspended as suspended"
            " from stream_keys k join channels c using (channel_id) join users u using (user_id)"
            " where k.key_hash = %s",
            (key_hash,),
        )
        return await cursor.fetchone()
