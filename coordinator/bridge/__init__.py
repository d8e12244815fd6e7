"""Brings each edge's outbox into the database: chat into the history, events onto broadcasts, quality into minutes.

One task per edge pulls a batch, commits chat to the store of the history and everything else to the database, and
only then acknowledges. Everything is idempotent (messages by message_id, events by event_id), so a repeat changes
nothing, and while either store is away the batch is held. What cannot be read is counted, kept in
dead_letters and acknowledged: it must never hold up what comes behind it.
"""

from coordinator.bridge.service import OutboxBridge

__all__ = ["OutboxBridge"]
