"""Where the counts of a node's processes lie."""

from pathlib import Path

import pytest

from appliance.supervisor import plan


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file system in memory."""
    made = tmp_path / "shm"
    made.mkdir()
    monkeypatch.setattr(plan, "_MEMORY", made)
    return made


def test_in_memory_and_each_node_has_its_own(memory: Path, tmp_path: Path) -> None:
    first, second = plan.metrics_directory(tmp_path / "a"), plan.metrics_directory(tmp_path / "b")
    assert first.parent == second.parent == memory
    assert first != second
    assert first.stat().st_mode & 0o777 == 0o700
    assert plan.metrics_directory(tmp_path / "a") == first


@pytest.mark.parametrize("why", ["missing", "full", "taken"])
def test_below_the_data_where_memory_cannot_be_had(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    data = tmp_path / "data"
    if why == "missing":
        memory.rmdir()
    elif why == "full":
        monkeypatch.setattr(plan, "_MEMORY_ROOM", 1 << 62)
    else:
        folder = plan.metrics_directory(data)
        folder.rmdir()
        folder.symlink_to(tmp_path)
    assert plan.metrics_directory(data) == data / "run" / "metrics"
