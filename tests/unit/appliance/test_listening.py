"""Listening sockets that a process is given."""

import os
import socket

import pytest

from appliance.contracts.errors import ConfigError
from appliance.runtime.listening import client_of, inherited, open_listener


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


@pytest.mark.parametrize(
    ("host", "clients"), [("::", ("::1", "127.0.0.1")), ("::1", ("::1",)), ("127.0.0.1", ("127.0.0.1",))]
)
def test_clients_of_both_protocols_have_their_own_addresses(host, clients):
    with open_listener(host, 0) as listener:
        listener.setblocking(True)
        for address in clients:
            with socket.create_connection((address, listener.getsockname()[1])) as client:
                taken, peer = listener.accept()
                taken.close()
                assert client_of(peer) == client.getsockname()[:2]


def test_a_port_of_its_own_is_not_shared(held):
    with pytest.raises(OSError, match="in use"):
        open_listener("127.0.0.1", held.getsockname()[1], shared=False)


@pytest.mark.parametrize("peer", [None, "", "@socket", ("only",)])
def test_a_peer_without_a_name(peer):
    assert client_of(peer) == ("", 0)
