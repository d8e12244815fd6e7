"""The NATS server of the runtime's tests."""

from tests.integration.runtime.conftest import bus, connect, server  # noqa: F401 - fixtures
