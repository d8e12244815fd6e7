"""The first credential of a new installation."""

from coordinator.accounts.service import Accounts
from coordinator.unit import Units


async def ensure_operator(units: Units, accounts: Accounts) -> str | None:
    """Makes the first operator token and returns it for the caller to keep; None when a valid one exists.

    UnavailableError when the database is away.
    """
    async with units.open() as unit:
        return await accounts.ensure_operator(unit)
