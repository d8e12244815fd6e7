"""A self-signed certificate for a node that was given none: encrypted, though nobody vouches for it."""

import datetime as dt
import ipaddress
import socket
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.engines.files import make_directory, write_private

_DAYS = 397
_RENEW_DAYS = 30


class CertificateFiles(NamedTuple):
    """PEM files."""

    certificate: Path
    key: Path


def self_signed(folder: Path, names: list[str], today: dt.datetime) -> CertificateFiles:
    """The node's own certificate for these host names and addresses, made anew when it is about to expire
    or does not name them all. OSError."""
    files = CertificateFiles(folder / "node.crt", folder / "node.key")
    wanted = _alternatives([*names, "localhost", "127.0.0.1", "::1", socket.gethostname()])
    if _is_good(files, wanted, today):
        return files
    make_directory(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Nearcast {names[0][:50]}")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName(wanted), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    write_private(
        files.key,
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode(),
    )
    write_private(files.certificate, certificate.public_bytes(serialization.Encoding.PEM).decode())
    return files


def _alternatives(names: list[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            if name.isascii() and name:
                found.append(x509.DNSName(name))
    return found


def _is_good(files: CertificateFiles, wanted: list[x509.GeneralName], today: dt.datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    lasts = certificate.not_valid_after_utc - today > dt.timedelta(days=_RENEW_DAYS)
    return lasts and files.key.exists() and set(wanted) <= set(names)
