"""The nodes and clips of the end-to-end tests."""

from tests.e2e.conftest import clips, fresh_node, pytest_runtest_makereport  # noqa: F401 - fixtures and a hook
