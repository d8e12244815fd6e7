"""Structured logs: one event per line, JSON for machines, columns for a person at a terminal.

Names of events are snake_case and stable. Stream keys, tokens and passwords are never passed as values.
"""

import contextlib
import logging
import sys
from typing import Any, TextIO, cast

import structlog


def configure(*, role: str, form: str = "auto", level: str = "info") -> None:
    """Sends every log line of this process to standard error. `form`: auto, json or console."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if console:
        last: list[Any] = [console_renderer(colors=sys.stderr.isatty())]
    else:
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", Unfailing(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role)
    logging.basicConfig(
        level=max(number, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )


class Unfailing:
    """A text file that leaves out what cannot be written: a full disk must not end who tells of it."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """As of a file."""
        with contextlib.suppress(OSError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """As of a file."""
        with contextlib.suppress(OSError):
            self._file.flush()


def console_renderer(*, colors: bool) -> structlog.dev.ConsoleRenderer:
    """Columns. Tracebacks are plain: a pretty one with every local variable takes a second of the event loop."""
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose lines carry `name` as their part of the program."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(part=name)
    return logger
