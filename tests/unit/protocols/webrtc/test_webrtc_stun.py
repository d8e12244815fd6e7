"""STUN and the ICE-lite agent, against an independent coder."""

import ipaddress

import pytest
from aioice import stun as other
from hypothesis import given
from hypothesis import strategies as st
from webrtc_bytes import check

from edge.protocols.webrtc import stun
from edge.protocols.webrtc.ice import IceAgent

HERE, THERE = ("192.0.2.1", 1000), ("192.0.2.2", 2000)
PASSWORD = "p" * 24


def test_reads_a_check_and_answers_it() -> None:
    datagram = check("local", PASSWORD, nominate=True, priority=77)
    assert stun.is_stun(datagram)
    assert stun.local_fragment(datagram) == "local"
    request = stun.authenticate(datagram, PASSWORD.encode())
    assert request is not None
    assert (request.priority, request.nominates, request.controlled) == (77, True, False)
    answer = other.parse_message(stun.success(request.transaction, HERE, PASSWORD.encode()))
    answer.check_message_integrity(PASSWORD.encode())
    assert answer.message_class == other.Class.RESPONSE
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == HERE


@pytest.mark.parametrize("host", ["2001:db8::7", "::ffff:192.0.2.9", "fe80::1%eth0"])
def test_maps_addresses_of_version_6(host: str) -> None:
    answer = other.parse_message(stun.success(b"t" * 12, (host, 5), b"k"))
    mapped = ipaddress.ip_address(answer.attributes["XOR-MAPPED-ADDRESS"][0])
    expected = ipaddress.IPv6Address(host.partition("%")[0])
    assert mapped == (expected.ipv4_mapped or expected)


def test_wrong_password_is_no_check() -> None:
    assert stun.authenticate(check("local", PASSWORD), b"other") is None


def test_a_changed_byte_is_no_check() -> None:
    datagram = bytearray(check("local", PASSWORD))
    datagram[-40] ^= 1
    assert stun.authenticate(bytes(datagram), PASSWORD.encode()) is None


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    for datagram in (data, b"\0\1\0\x10\x21\x12\xa4\x42" + data):
        stun.local_fragment(datagram)
        assert stun.authenticate(datagram, b"k") is None


@given(st.data())
def test_any_damage_to_a_check(data: st.DataObject) -> None:
    datagram = bytearray(check("local", PASSWORD))
    at = data.draw(st.integers(0, len(datagram) - 1))
    datagram[at] = data.draw(st.integers(0, 255))
    stun.local_fragment(bytes(datagram))
    stun.authenticate(bytes(datagram), PASSWORD.encode())


def agent() -> IceAgent:
    return IceAgent("local", PASSWORD, 0.0)


def test_data_may_flow_before_the_nomination() -> None:
    one = agent()
    found = one.check(check("local", PASSWORD), HERE, HERE, "local", 1.0)
    assert found is not None
    assert found.added
    assert one.selected == HERE
    assert not one.nominated


def test_role_conflict() -> None:
    one = agent()
    found = one.check(check("local", PASSWORD, controlled=True), HERE, HERE, "local", 1.0)
    assert found is not None
    assert other.parse_message(found.reply).attributes["ERROR-CODE"] == (487, "Role Conflict")
    assert one.selected is None


def test_the_best_nominated_pair_wins_until_it_is_silent() -> None:
    one = agent()
    one.check(check("local", PASSWORD, nominate=True, priority=5), HERE, HERE, "local", 1.0)
    one.check(check("local", PASSWORD, nominate=True, priority=4), THERE, THERE, "local", 1.1)
    assert one.selected == HERE
    one.check(check("local", PASSWORD, nominate=True, priority=6), THERE, THERE, "local", 1.2)
    assert one.selected == THERE
    one.check(check("local", PASSWORD, nominate=True, priority=5), HERE, HERE, "local", 4.0)
    assert one.selected == HERE
    assert one.migrations == 2


def test_a_pair_that_carries_data_is_not_silent() -> None:
    one = agent()
    one.check(check("local", PASSWORD, nominate=True, priority=5), HERE, HERE, "local", 1.0)
    one.data_from(HERE, 3.9)
    one.check(check("local", PASSWORD, nominate=True, priority=4), THERE, THERE, "local", 4.0)
    assert one.selected == HERE


def test_restart_keeps_the_old_credentials_until_the_new_pair_is_nominated() -> None:
    one = agent()
    one.check(check("local", PASSWORD, nominate=True), HERE, HERE, "local", 1.0)
    one.restart("fresh", "q" * 24)
    assert set(one.fragments) == {"local", "fresh"}
    assert one.check(check("local", PASSWORD), HERE, HERE, "local", 2.0) is not None
    one.check(check("fresh", "q" * 24, nominate=True, priority=1), THERE, THERE, "fresh", 2.1)
    assert one.selected == THERE
    assert one.fragments == ("fresh",)


def test_addresses_are_bounded_and_the_selected_one_stays() -> None:
    one = agent()
    one.check(check("local", PASSWORD, nominate=True), HERE, HERE, "local", 1.0)
    dropped = []
    for port in range(40):
        found = one.check(check("local", PASSWORD), ("192.0.2.3", port), HERE, "local", 2.0 + port)
        assert found is not None
        dropped.append(found.dropped)
    assert len(one.addresses) == 16
    assert one.selected == HERE
    assert HERE not in dropped


def test_a_flood_of_checks_is_cut() -> None:
    one = agent()
    datagram = check("local", PASSWORD)
    answered = sum(one.check(datagram, HERE, HERE, "local", 1.0) is not None for _ in range(400))
    assert answered <= 201
    assert one.check(datagram, HERE, HERE, "local", 2.5) is not None


def test_a_lost_address_gives_way_to_another() -> None:
    one = agent()
    for port in (1, 2):
        one.check(check("local", PASSWORD), ("192.0.2.3", port), HERE, "local", float(port))
    one.drop(("192.0.2.3", 1))
    assert one.selected == ("192.0.2.3", 2)
    one.drop(("192.0.2.3", 2))
    assert one.selected is None
