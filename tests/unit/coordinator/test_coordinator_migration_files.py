import pytest

from appliance.contracts.errors import ConfigError
from coordinator.db.migrate import Migration, load, pending


def test_own_files_are_numbered_without_gaps():
    assert [int(migration.version[:4]) for migration in load()] == list(range(1, len(load()) + 1))


@pytest.mark.parametrize("name", ["1_x.sql", "0001-x.sql", "0001_X.sql", "x.sql"])
def test_odd_name_is_refused(tmp_path, name):
    (tmp_path / name).write_text("select 1")
    with pytest.raises(ConfigError):
        load(tmp_path)


def test_number_used_twice_is_refused(tmp_path):
    for name in ("0001_a.sql", "0001_b.sql"):
        (tmp_path / name).write_text("select 1")
    with pytest.raises(ConfigError, match="twice"):
        load(tmp_path)


def test_only_new_files_are_pending():
    files = [Migration("0001_a", "a", "ca"), Migration("0002_b", "b", "cb")]
    assert pending(files, {"0001_a": "ca"}) == files[1:]
    with pytest.raises(ConfigError, match="edited"):
        pending(files, {"0001_a": "other"})
    with pytest.raises(ConfigError, match="sorts before"):
        pending(files, {"0002_b": "cb"})


def test_statements_of_a_file_outside_a_transaction():
    sql = "-- no-transaction\n-- why\ncreate index a;\n\nselect ';';\n-- the end\n"
    migration = Migration("0001_a", sql, "c")
    assert not migration.in_transaction
    assert [statement.strip().splitlines()[-1] for statement in migration.statements()] == [
        "create index a",
        "select ';'",
    ]
