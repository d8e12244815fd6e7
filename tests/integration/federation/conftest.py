"""The PostgreSQL of the coordinator's tests."""

from tests.integration.coordinator.conftest import dsn, migrated, postgres  # noqa: F401 - fixtures
