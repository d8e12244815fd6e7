"""SQL of idempotency keys."""

from dataclasses import dataclass

from psycopg.rows import class_row

from coordinator.db import Connection


@dataclass(frozen=True, slots=True)
class IdempotencyRow:
    request_hash: str
    status: int | None
    response: bytes | None


async def claim(connection: Connection, token_id: str, key: str, request_hash: str, lease_s: float) -> bool:
    """Whether the key is new, or the same request claimed it `lease_s` ago and has no answer yet. Waits for a
    transaction that claims the same one just now."""
    cursor = await connection.execute(
        "insert into idempotency_keys as k (token_id, key, request_hash) values (%s, %s, %s)"
        " on conflict (token_id, key) do update set created_at = now()"
        " where k.status is null and k.request_hash = excluded.request_hash"
        " and k.created_at < now() - make_interval(secs => %s)",
        (token_id, key, request_hash, lease_s),
    )
    return cursor.rowcount == 1


async def find(connection: Connection, token_id: str, key: str) -> IdempotencyRow | None:
    async with connection.cursor(row_factory=class_row(IdempotencyRow)) as cursor:
        await cursor.execute(
            "select request_hash, status, response from idempotency_keys where token_id = %s and key = %s",
            (token_id, key),
        )
        return await cursor.fetchone()


async def record(connection: Connection, token_id: str, key: str, status: int, response: bytes) -> None:
    await connection.execute(
        "update idempotency_keys set status = %s, response = %s where token_id = %s and key = %s",
        (status, response, token_id, key),
    )


async def release(connection: Connection, token_id: str, key: str) -> None:
    await connection.execute(
        "delete from idempotency_keys where token_id = %s and key = %s and status is null", (token_id, key)
    )
