"""DTLS and SRTP between two of our endpoints, with losses, wrong identities and damage."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webrtc_bytes import rtp

from edge.net.certificate import Identity
from edge.protocols.webrtc import rtcp
from edge.protocols.webrtc.dtls import DtlsEndpoint
from edge.protocols.webrtc.errors import DtlsError, SrtpError

ALICE, BOB = Identity(0.0), Identity(0.0)


def pair(*, wrong: bool = False) -> tuple[DtlsEndpoint, DtlsEndpoint]:
    """Client and server."""
    expected = ALICE if wrong else BOB
    client = DtlsEndpoint(ALICE.context, active=True, fingerprints=[("sha-256", expected.fingerprint)])
    server = DtlsEndpoint(BOB.context, active=False, fingerprints=[("sha-256", ALICE.fingerprint.lower())])
    return client, server


def shake_hands(client: DtlsEndpoint, server: DtlsEndpoint) -> None:
    flight, turn = client.begin(), server
    for _ in range(12):
        answers = [answer for datagram in flight for answer in turn.receive(datagram)]
        flight, turn = answers, client if turn is server else server
        if client.srtp and server.srtp:
            return
    raise AssertionError("no keys")


def test_keys_fit_in_both_directions() -> None:
    client, server = pair()
    shake_hands(client, server)
    assert client.srtp
    assert server.srtp
    report = rtcp.receiver_report(1)
    assert server.srtp.unprotect_rtcp(client.srtp.protect_rtcp(report)) == report
    assert client.srtp.unprotect_rtcp(server.srtp.protect_rtcp(report)) == report


def test_datagrams_fit_the_network() -> None:
    client, server = pair()
    flight = client.begin()
    answers = [answer for datagram in flight for answer in server.receive(datagram)]
    assert all(13 <= len(datagram) <= 1200 for datagram in [*flight, *answers])


def test_a_repeated_flight_is_answered_at_once() -> None:
    client, server = pair()
    hello = client.begin()
    answers = [answer for datagram in hello for answer in server.receive(datagram)]
    assert answers
    again = [answer for datagram in hello for answer in server.receive(datagram)]
    assert again == answers


def test_another_certificate_is_refused() -> None:
    client, server = pair(wrong=True)
    with pytest.raises(DtlsError):
        shake_hands(client, server)
    assert client.closed
    assert client.srtp is None


def test_an_unknown_hash_is_refused() -> None:
    client, _ = pair()
    server = DtlsEndpoint(BOB.context, active=False, fingerprints=[("md5", "00")])
    with pytest.raises(DtlsError):
        shake_hands(client, server)


def test_close_notify() -> None:
    client, server = pair()
    shake_hands(client, server)
    for datagram in client.close():
        server.receive(datagram)
    assert server.closed
    assert client.close() == []
    assert client.timeout_s() is None


def test_a_lost_flight_comes_again_by_itself() -> None:
    client, _ = pair()
    client.begin()
    wait = client.timeout_s()
    assert wait is not None
    assert 0 < wait <= 1.0


@settings(max_examples=40)
@given(st.lists(st.binary(min_size=1, max_size=120), max_size=6))
def test_any_datagrams_during_the_handshake(datagrams: list[bytes]) -> None:
    client, server = pair()
    hello = client.begin()
    for datagram in datagrams:
        try:
            server.receive(b"\x16\xfe\xfd" + datagram)
            server.receive(datagram)
        except DtlsError:
            return
    server.receive(hello[0])


def test_what_is_not_authentic_is_the_typed_error() -> None:
    client, server = pair()
    shake_hands(client, server)
    assert server.srtp
    for packet in (b"", b"\x80", rtp(1), rtp(1, payload=b"x" * 3000)):
        with pytest.raises(SrtpError):
            server.srtp.unprotect(packet)
        with pytest.raises(SrtpError):
            server.srtp.unprotect_rtcp(packet)
    with pytest.raises(SrtpError):
        server.srtp.protect_rtcp(rtcp.receiver_report(1) + b"\0" * 4000)
