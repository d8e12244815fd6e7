"""The history of chat in Apache Cassandra, for centres whose rooms outgrow one PostgreSQL.

A message lies in a partition of its room and ten minutes (`buckets`), under its id. The id sorts by time and is the
whole key, so a message that comes again overwrites itself. What moderators remove is a mark on a message, or an
entry beside the messages that every page is held against (`removals`); both may come before the messages.
Nothing is ever deleted: rows end by their time to live, which counts from the moment a message was sent.

Only this package imports the driver.
"""

from coordinator.chat_history.cassandra.store import CassandraChatStore

__all__ = ["CassandraChatStore"]
