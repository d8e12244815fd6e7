"""Lets these tests use the encoder's bytes of the protocol tests, and prints errors without a pause."""

import sys
from pathlib import Path

import pytest
import structlog

sys.path.insert(0, str(Path(__file__).parents[1] / "protocols"))


@pytest.fixture(autouse=True, scope="session")
def plain_tracebacks() -> None:
    """The usual ones show every local variable: a third of a second in which the event loop stands still."""
    processors = structlog.get_config()["processors"][:-1]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*processors, plain])
