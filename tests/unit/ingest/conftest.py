"""Lets these tests use the encoder's bytes of the protocol tests, and prints errors without a pause."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "protocols")]

from ingest_site import Site  # noqa: E402 - needs the path above


@pytest.fixture(autouse=True, scope="session")
def plain_tracebacks() -> None:
    """The usual ones show every local variable: a third of a second in which the event loop stands still."""
    processors = structlog.get_config()["processors"][:-1]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*processors, plain])


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """One log, and as many ingest processes on it as a test starts."""
    site = Site()
    yield site
    await site.close()
