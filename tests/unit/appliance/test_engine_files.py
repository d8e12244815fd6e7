"""State files, and who may reach what."""

import os
import signal
from pathlib import Path

import pytest
import redis
from psycopg.conninfo import conninfo_to_dict

from appliance.contracts.errors import ConfigError
from appliance.engines.child import confined
from appliance.engines.files import Account, can_enter, make_directory, secret_file, write_private
from appliance.engines.nats import NatsEngine
from appliance.engines.postgres import PostgresEngine
from appliance.engines.valkey import ValkeyEngine
from appliance.runtime.settings import Settings

STRANGER = Account(64_001, 64_001, "stranger")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that everyone may pass."""
    for above in (tmp_path, *tmp_path.parents):
        if above.stat().st_uid == os.geteuid() and above != Path("/"):
            above.chmod(above.stat().st_mode | 0o111)
    return tmp_path


def test_private_files_are_replaced_whole_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_private(path, "one")
    write_private(path, "two")
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    first = secret_file(tmp_path / "password")
    assert len(first) >= 24
    assert secret_file(tmp_path / "password") == first


def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o755)
    theirs.chmod(0o751)
    make_directory(theirs, mode=0o700)
    assert theirs.stat().st_mode & 0o777 == 0o751


def test_a_closed_folder_above_is_seen(folder: Path) -> None:
    inner = folder / "closed" / "data"
    inner.mkdir(parents=True)
    assert can_enter(inner, STRANGER)
    (folder / "closed").chmod(0o700)
    assert not can_enter(inner, STRANGER)
    assert can_enter(inner, Account(os.geteuid(), os.getegid(), "owner"))


def test_the_capability_is_given_only_where_the_way_is_closed(folder: Path) -> None:
    inner = folder / "closed" / "data"
    inner.mkdir(parents=True)
    open_way = confined(["server"], STRANGER, [inner], signal_of("SIGTERM"))
    (folder / "closed").chmod(0o700)
    closed_way = confined(["server"], STRANGER, [inner], signal_of("SIGTERM"))
    assert not any("dac_override" in word for word in open_way)
    assert "--ambient-caps=+dac_override" in closed_way
    assert open_way[:3] == ("setpriv", "--pdeathsig", "TERM")
    assert closed_way[-2:] == ("--", "server")


def signal_of(name: str) -> signal.Signals:

    return signal.Signals[name]


def test_a_path_with_spaces_and_quotes_is_what_clients_read(tmp_path: Path) -> None:
    folder = tmp_path / "my 'live' streams 100%"
    postgres = PostgresEngine(folder / "postgres", folder, None)
    assert conninfo_to_dict(postgres.dsn)["host"] == str(folder)
    client = redis.Redis.from_url(ValkeyEngine(folder, None).url)
    assert client.connection_pool.connection_kwargs["path"] == str(folder / "valkey.sock")


def test_a_path_that_the_servers_cannot_be_told_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="quotation marks"):
        NatsEngine(Settings(), tmp_path / 'my "live" streams', None).prepare()
