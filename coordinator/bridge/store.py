"""SQL of the outbox bridge's own bookkeeping."""

from coordinator.db import Connection


async def first_time(connection: Connection, event_id: str) -> bool:
    """Whether this event was never applied; from now on it counts as applied."""
    cursor = await connection.execute(
        "insert into applied_events (event_id) values (%s) on conflict (event_id) do nothing", (event_id,)
    )
    return cursor.rowcount == 1


async def insert_dead_letter(
    connection: Connection, edge_id: str, subject: str, seq: int, reason: str, data: bytes
) -> None:
    """Keeps what could not be applied; a repeat of the same entry is kept once."""
    await connection.execute(
        "insert into dead_letters (edge_id, subject, seq, reason, data) values (%s, %s, %s, %s, %s)"
        " on conflict do nothing",
        (edge_id, subject, seq, reason, data),
    )


async def forget_old(connection: Connection) -> None:
    """Drops bookkeeping that no repeat can need any more."""
    await connection.execute("delete from applied_events where applied_at < now() - interval '90 days'")
    await connection.execute("delete from dead_letters where received_at < now() - interval '90 days'")
    await connection.execute("delete from publisher_reports where ended_at < now() - interval '90 days'")
    await connection.execute("delete from idempotency_keys where created_at < now() - interval '1 day'")
