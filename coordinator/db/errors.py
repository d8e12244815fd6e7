"""Driver errors mapped once to the tree of appliance.contracts.errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import psycopg_pool

from appliance.contracts.errors import BadInputError, ConflictError, NearcastError, UnavailableError


def mapped(error: psycopg.Error | psycopg_pool.PoolTimeout | psycopg_pool.PoolClosed) -> NearcastError:
    """The error a caller sees. Its detail never carries SQL, values or names of tables."""
    match error:
        case psycopg.errors.UniqueViolation():
            return ConflictError("that exists already", code="exists")
        case psycopg.errors.ForeignKeyViolation():
            return ConflictError("something this refers to does not exist", code="missing_reference")
        case psycopg.errors.IntegrityError() | psycopg.errors.DataError():
            return BadInputError("a value is outside what can be stored", code="bad_value")
        case psycopg.errors.SerializationFailure() | psycopg.errors.DeadlockDetected():
            return UnavailableError("the change met another one; try again", retry_after_s=1)
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return UnavailableError("the database is away", retry_after_s=2)
        case psycopg_pool.PoolTimeout() | psycopg_pool.PoolClosed():
            return UnavailableError("the database is away or busy", retry_after_s=2)
        case _:
            return NearcastError("the database refused a statement", code="database")


@contextmanager
def mapping() -> Iterator[None]:
    """Runs its body with driver errors turned into ours, the original chained as the cause."""
    try:
        yield
    except (psycopg.Error, psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed) as error:
        raise mapped(error) from error
