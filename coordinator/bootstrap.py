"""The operator's credential of an installation."""

from coordinator.accounts.service import Accounts
from coordinator.unit import Units


async def ensure_operator(units: Units, accounts: Accounts, kept: str | None = None) -> str | None:
    """A new operator token for the caller to keep, or None when there is one.

    Without `kept`, any valid operator token in the database counts. With it, only that token does: whoever
    keeps the token in a file and lost it (or crashed before writing it) gets another. UnavailableError when
    the database is away.
    """
    async with units.open() as unit:
        return await accounts.ensure_operator(unit, kept)
