"""PostgreSQL: the pool, the migrations and the one place where driver errors become ours.

Used by every slice's store. A store takes a Connection and never commits; whoever opened the transaction
does. Nothing outside this package and the `store.py` files may import psycopg.
"""

from coordinator.db.pool import Connection, Database

__all__ = ["Connection", "Database"]
