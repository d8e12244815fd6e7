"""The history of chat in the coordinator's own database."""

from coordinator.chat_history.postgresql.store import PostgresChatStore

__all__ = ["PostgresChatStore"]
