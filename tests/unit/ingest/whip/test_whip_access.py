"""Keys, addresses and certificates of WebRTC publishers."""

import ipaddress
from typing import Any

import pytest
from ingest_fakes import KEY, directory_with

from appliance.contracts.media import Notice
from appliance.runtime.settings import Settings, replace
from edge.ingest.whip.access import Access
from edge.ingest.whip.config import WhipConfig
from edge.net.addresses import candidate_hosts
from edge.net.certificate import Identity


class Notices:
    """Keeps records."""

    def __init__(self) -> None:
        self.put_ones: list[tuple[str, Any]] = []

    def put(self, key: str, record: Any) -> None:
        self.put_ones.append((key, record))


def access() -> tuple[Access, Notices]:
    notices = Notices()
    return Access(directory_with(KEY), notices), notices  # type: ignore[arg-type]


async def test_a_good_key() -> None:
    one, notices = access()
    assert await one.check(KEY) is None
    assert not notices.put_ones


async def test_no_key_is_refused_at_once() -> None:
    one, _ = access()
    refusal = await one.check("")
    assert refusal is not None
    assert refusal.code == "no_key"


async def test_an_unknown_key_is_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.ingest.whip.access._UNKNOWN_S", 0.1)
    one, notices = access()
    refusal = await one.check("other")
    assert refusal is not None
    assert refusal.code == "unknown_key"
    assert not notices.put_ones


def test_a_warning_reaches_the_owner_of_the_key() -> None:
    one, notices = access()
    one.warn("other", "port_not_reachable", "text")
    one.warn(KEY, "port_not_reachable", "text")
    ((_, notice),) = notices.put_ones
    assert isinstance(notice, Notice)
    assert (notice.code, notice.text) == ("port_not_reachable", "text")


def test_candidate_addresses() -> None:
    assert candidate_hosts((), "127.0.0.1") == ("127.0.0.1",)
    assert candidate_hosts((), "2001:db8::1") == ("2001:db8::1",)
    assert candidate_hosts(("198.51.100.1", "198.51.100.1", "2001:db8::1"), "0.0.0.0") == (
        "198.51.100.1",
        "2001:db8::1",
    )
    for host in ("0.0.0.0", "::"):
        found = candidate_hosts((), host)
        assert found
        for address in found:
            ipaddress.ip_address(address)


def test_settings() -> None:
    values = {"node": {"host": "127.0.0.1"}, "ingest": {"ice_hosts": ["198.51.100.1"], "webrtc_start_kbps": 900}}
    config = WhipConfig.of(replace(Settings(), values))
    assert config.hosts == ("198.51.100.1",)
    assert config.start_kbps == 900
    assert config.port == 8189
    assert config.key_every_s == 2.0


def test_certificates_differ() -> None:
    one, other = Identity(0.0), Identity(0.0)
    assert one.fingerprint != other.fingerprint
    assert len(one.fingerprint) == 95
