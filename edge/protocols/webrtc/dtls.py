"""DTLS for SRTP keys (RFC 5764, RFC 8842) by OpenSSL over memory: datagrams in, datagrams out.

Only addresses that ICE has authenticated may reach it: that is why it needs no cookie exchange.
"""

import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.x509 import Certificate
from OpenSSL import SSL

from edge.protocols.webrtc.errors import DtlsError
from edge.protocols.webrtc.srtp import PROFILES, SrtpPair

_MTU = 1200
_RECORD_HEADER = 13
_MOST_SEEN = 64
_CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA"
)
_DIGESTS = {"sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}
_PLAIN = {
    "wrong curve": "your certificate is on a weak elliptic curve, as FFmpeg with GnuTLS makes them; "
    "give it another one with -cert_file and -key_file"
}
_EXPORTER = b"EXTRACTOR-dtls_srtp"


def make_context(certificate: Certificate, key: EllipticCurvePrivateKey) -> SSL.Context:
    """OpenSSL's settings for all sessions of one certificate."""
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # certificates are self-signed: who the peer is, its fingerprint in the description says
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    context.set_cipher_list(_CIPHERS)
    context.set_tlsext_use_srtp(b":".join(PROFILES))
    return context


def _reason(error: SSL.Error) -> str:
    """OpenSSL's words for the first of its errors, such as "no shared cipher"; ours where they help nobody."""
    found = error.args[0] if error.args else ()
    words = str(found[0][-1]) if found and found[0] else "no reason was given"
    return _PLAIN.get(words, words)


class DtlsEndpoint:
    """One association. Handshaking until `srtp` is there, then open until `closed`."""

    def __init__(self, context: SSL.Context, *, active: bool, fingerprints: Sequence[tuple[str, str]]) -> None:
        """`active`: we are the client. `fingerprints`: (hash name, "AB:CD:...") of the peer's certificate."""
        self.active = active
        self.closed = False
        self.srtp: SrtpPair | None = None
        self._fingerprints = fingerprints
        self._connection = SSL.Connection(context)
        self._connection.set_ciphertext_mtu(_MTU)
        if active:
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()
        self._flight: list[bytes] = []
        self._seen: set[bytes] = set()

    def begin(self) -> list[bytes]:
        """The client's first flight; nothing for a server."""
        return self._shake_hands() if self.active else []

    def receive(self, datagram: bytes) -> list[bytes]:
        """Takes a datagram; those to send. DtlsError when the handshake failed: the association is over."""
        if self.closed:
            return []
        try:
            self._connection.bio_write(datagram)
            if self.srtp is None:
                return self._answer(datagram)
            self._connection.recv(4096)
        except SSL.ZeroReturnError:
            self.closed = True
        except SSL.Error:
            pass  # alerts and damaged records of an open association say nothing that we need
        return self._outgoing()

    def timeout_s(self) -> float | None:
        """Seconds until `handle_timeout` is due, None when nothing waits for an answer."""
        if self.srtp is not None or self.closed:
            return None
        return self._connection.DTLSv1_get_timeout()

    def handle_timeout(self) -> list[bytes]:
        """The last flight again, when its time is over. DtlsError when there is no hope left."""
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error as error:
            self.closed = True
            raise DtlsError("the handshake was not answered") from error
        return self._outgoing()

    def close(self) -> list[bytes]:
        """Our close_notify."""
        if self.closed:
            return []
        self.closed = True
        try:
            self._connection.shutdown()
        except SSL.Error:
            return []
        return self._outgoing()

    def _answer(self, datagram: bytes) -> list[bytes]:
        """A step of the handshake.

        Peers repeat a flight within 50 ms, OpenSSL answers a repetition only when its own second is over:
        so a handshake message that was seen before gets our last flight at once.
        """
        message = datagram[_RECORD_HEADER : _RECORD_HEADER + 12]
        repeated = message in self._seen
        if len(self._seen) < _MOST_SEEN:
            self._seen.add(message)
        flight = self._shake_hands()
        if flight:
            self._flight = flight
        return flight or (self._flight if repeated else [])

    def _shake_hands(self) -> list[bytes]:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return self._outgoing()
        except SSL.Error as error:
            self.closed = True
            raise DtlsError(f"the handshake failed ({_reason(error)})") from error
        self._check_peer()
        self.srtp = self._keys()
        return self._outgoing()

    def _check_peer(self) -> None:
        """The certificate has to match every fingerprint of the description that we can compute (RFC 8122, 5)."""
        certificate = self._connection.get_peer_certificate()
        known = [(_DIGESTS.get(name.lower(), ""), value.upper()) for name, value in self._fingerprints]
        usable = [(digest, value) for digest, value in known if digest]
        if certificate is None or not usable or not all(
            hmac.compare_digest(certificate.digest(digest), value.encode()) for digest, value in usable
        ):  # fmt: skip
            self.closed = True
            raise DtlsError("the certificate is not the one that the offer names")

    def _keys(self) -> SrtpPair:
        name = self._connection.get_selected_srtp_profile()
        profile = PROFILES.get(name)
        if profile is None:
            self.closed = True
            raise DtlsError("no SRTP profile in common")
        key, salt = profile.key, profile.salt
        material = self._connection.export_keying_material(_EXPORTER, 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        ours, theirs = (client, server) if self.active else (server, client)
        return SrtpPair(name, theirs, ours)

    def _outgoing(self) -> list[bytes]:
        """What OpenSSL wants sent, cut into datagrams where records end: a memory BIO has no borders."""
        pieces = []
        while True:
            try:
                pieces.append(self._connection.bio_read(65_536))
            except SSL.Error:
                break
        data = b"".join(pieces)
        datagrams: list[bytes] = []
        start = at = 0
        while at + _RECORD_HEADER <= len(data):
            size = _RECORD_HEADER + int.from_bytes(data[at + 11 : at + 13], "big")
            if at > start and at + size - start > _MTU:
                datagrams.append(data[start:at])
                start = at
            at += size
        return [*datagrams, data[start:at]] if at > start else datagrams
