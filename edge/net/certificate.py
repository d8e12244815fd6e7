"""The certificate of this process's DTLS endpoints: self-signed, named by its fingerprint alone (RFC 8827, 6.5)."""

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from edge.protocols.webrtc.dtls import make_context

RENEW_S = 24 * 3600.0
_DAYS = 30


class Identity:
    """A certificate and the OpenSSL settings made of it. Sessions keep the one that they began with."""

    def __init__(self, made_at: float) -> None:
        """`made_at` is the caller's clock, to know when RENEW_S have passed."""
        self.made_at = made_at
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nearcast")])
        today = dt.datetime.now(tz=dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - dt.timedelta(days=1))
            .not_valid_after(today + dt.timedelta(days=_DAYS))
            .sign(key, hashes.SHA256())
        )
        self.fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        self.context: SSL.Context = make_context(certificate, key)
