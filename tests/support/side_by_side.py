"""Which tests stay together when the suite runs on two cores."""

from xdist.scheduler import LoadScopeScheduling

_HEAVY = "tests/integration/coordinator/chat_history/"  # two nodes of Cassandra would be too much for the machine


class ByFile(LoadScopeScheduling):
    """The tests of a file run in one process, and so do the files of a folder that shares a heavy server."""

    def _split_scope(self, nodeid: str) -> str:
        return _HEAVY if nodeid.startswith(_HEAVY) else nodeid.split("::", 1)[0]
