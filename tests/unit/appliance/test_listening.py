"""Listening sockets that a process is given."""

import os
import socket

import pytest

from appliance.contracts.errors import ConfigError
from appliance.runtime.listening import inherited, open_listener


@pytest.fixture
def held():
    with open_listener("127.0.0.1", 0) as listener:
        yield listener


def test_a_given_socket_is_used_and_stays_open_with_its_owner(held):
    environ = {"NEARCAST_LISTEN": f"other=99 http={held.fileno()} broken"}
    with inherited("http", environ) as given:
        assert given.getsockname() == held.getsockname()
        assert given.fileno() != held.fileno()
    assert held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_a_process_that_was_given_nothing_opens_its_own(held):
    assert inherited("http", {}) is None
    assert inherited("https", {"NEARCAST_LISTEN": f"http={held.fileno()}"}) is None


def test_sockets_of_systemd(held):
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(held.fileno() - 2)}
    names = ["x"] * (held.fileno() - 3) + ["http"]
    with inherited("http", {**environ, "LISTEN_FDNAMES": ":".join(names)}) as given:
        assert given.getsockname() == held.getsockname()
    assert inherited("http", {**environ, "LISTEN_PID": "1", "LISTEN_FDNAMES": ":".join(names)}) is None


def test_what_does_not_listen_is_refused(tmp_path):
    with socket.socket() as idle, pytest.raises(ConfigError):
        inherited("http", {"NEARCAST_LISTEN": f"http={idle.fileno()}"})
    with (tmp_path / "file").open("wb") as file, pytest.raises(ConfigError):
        inherited("http", {"NEARCAST_LISTEN": f"http={file.fileno()}"})


def test_workers_share_a_port(held):
    with open_listener("127.0.0.1", held.getsockname()[1]) as other:
        assert other.getsockname() == held.getsockname()
