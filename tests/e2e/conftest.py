"""Nodes for end-to-end tests. The logs of every running node are part of a failed test's report."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright

from tests.e2e.e2e_node import Node
from tests.e2e.e2e_pages import ARGUMENTS, CHROMIUM
from tests.media_tools.clips import ClipMaker

_RUNNING: list[Node] = []
_QUICK = {
    "NEARCAST__INGEST__STOP_GRACE_S": "1",  # broadcasts end soon after their publisher stopped in order
    "NEARCAST__ORIGIN__QUALITY_S": "1",
    "NEARCAST__TRANSCODE__PREVIEW_S": "2",
    "NEARCAST__TRANSCODE__STORYBOARD_S": "2",
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Adds the logs of running nodes to the report of a failure."""
    report = yield
    if report.failed:
        for node in _RUNNING:
            report.sections.append((f"node {node.data}", node.logs()))
    return report


def _running(environment: dict[str, str]) -> Iterator[Node]:
    node = Node({**_QUICK, **environment})
    _RUNNING.append(node)
    try:
        node.start()
        yield node
    finally:
        left = node.remove()
        _RUNNING.remove(node)
    assert not left, f"processes left behind: {left}"


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """The node that tests share. They make their own channels and kill nothing."""
    yield from _running({})


@pytest.fixture(scope="session")
def victim() -> Iterator[Node]:
    """The node of tests that kill its processes and leave it ready again."""
    yield from _running({})


@pytest.fixture
def fresh_node() -> Iterator[Callable[..., Node]]:
    """Makes nodes (with settings from an environment) that are gone after the test."""
    made: list[Iterator[Node]] = []

    def make(**environment: str) -> Node:
        running = _running(environment)
        made.append(running)
        return next(running)

    yield make
    for running in made:
        for _ in running:
            pass


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipMaker:
    """Clips, made once for the session."""
    return ClipMaker(Path(tmp_path_factory.mktemp("clips")))


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Headless Chromium."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        await launched.close()
