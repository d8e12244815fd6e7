"""The node's certificate: made, kept, renewed, and changed under a running listener."""

import asyncio
import datetime as dt
import ssl
from pathlib import Path
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from appliance.contracts.errors import ConfigError
from appliance.engines.certificate import CertificateFiles, self_signed
from appliance.runtime.tls import ServerTls, client_tls

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def serial(files: CertificateFiles) -> int:
    return x509.load_pem_x509_certificate(files.certificate.read_bytes()).serial_number


def test_it_is_kept_until_it_is_about_to_expire(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    first = serial(self_signed(folder, ["edge.example", "192.0.2.1"], NOW))
    assert serial(self_signed(folder, ["edge.example", "192.0.2.1"], NOW + dt.timedelta(days=300))) == first
    assert serial(self_signed(folder, ["edge.example"], NOW + dt.timedelta(days=380))) != first
    assert (folder / "node.key").stat().st_mode & 0o777 == 0o600


def test_another_name_is_another_certificate(tmp_path: Path) -> None:
    files = self_signed(tmp_path, ["edge.example"], NOW)
    first = serial(files)
    assert serial(self_signed(tmp_path, ["other.example"], NOW)) != first
    names = x509.load_pem_x509_certificate(files.certificate.read_bytes()).extensions
    found = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "other.example" in found.get_values_for_type(x509.DNSName)


def test_broken_files_are_refused(tmp_path: Path) -> None:
    files = self_signed(tmp_path, ["edge.example"], NOW)
    files.key.write_bytes(b"no key")
    with pytest.raises(ConfigError, match=r"node\.key"):
        ServerTls(*files)
    with pytest.raises(ConfigError, match="nowhere"):
        ServerTls(tmp_path / "nowhere", files.key)


def test_an_encrypted_key_is_refused_in_words(tmp_path: Path) -> None:
    files = self_signed(tmp_path, ["edge.example"], NOW)
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    secret = serialization.BestAvailableEncryption(b"secret")
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret))
    with pytest.raises(ConfigError, match="without a password"):
        ServerTls(*files)
    with pytest.raises(ConfigError, match="without a password"):
        client_tls("", str(files.certificate), str(files.key))


def test_files_that_stay_broken_are_complained_of_once(tmp_path: Path) -> None:
    files = self_signed(tmp_path, ["edge.example"], NOW)
    tls = ServerTls(*files)
    good = files.key.read_bytes()
    with capture_logs() as said:
        for written in (b"no key", b"no key", b"no key at all"):
            files.key.write_bytes(written)
            assert not tls.look()
            assert not tls.look()
        assert [one["event"] for one in said] == ["certificate_refused"]
        files.key.write_bytes(good)
        assert tls.look()
        files.key.write_bytes(b"no key")
        assert not tls.look()
    assert [one["event"] for one in said] == ["certificate_refused", "certificate_reloaded", "certificate_refused"]


class Door:
    """A listener with this certificate, and what those who connect are shown."""

    def __init__(self, tls: ServerTls) -> None:
        self._tls = tls

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=self._tls.context
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def shown(self) -> tuple[int, str | None]:
        """Serial number of the certificate, and the protocol that was agreed upon."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        port = self._server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        wire = writer.get_extra_info("ssl_object")
        number = x509.load_der_x509_certificate(wire.getpeercert(binary_form=True)).serial_number
        writer.close()
        return number, wire.selected_alpn_protocol()


async def test_new_connections_see_a_new_certificate(tmp_path: Path) -> None:
    today = dt.datetime.now(dt.UTC)
    files = self_signed(tmp_path / "a", ["edge.example"], today)
    tls = ServerTls(*files)
    async with Door(tls) as door:
        before = await door.shown()
        assert before == (serial(files), None)
        assert not tls.look()
        other = self_signed(tmp_path / "b", ["edge.example"], today)
        files.certificate.write_bytes(other.certificate.read_bytes())
        assert not tls.look()  # the key does not fit yet
        assert await door.shown() == before
        other.key.replace(files.key)
        assert tls.look()
        assert await door.shown() == (serial(files), None) != before


async def test_a_certificate_of_another_kind_takes_the_place_of_the_first(tmp_path: Path) -> None:
    today = dt.datetime.now(dt.UTC)
    files = self_signed(tmp_path / "a", ["edge.example"], today)
    tls = ServerTls(*files)
    tls.set_up(protocols=["h2"])
    async with Door(tls) as door:
        assert await door.shown() == (serial(files), "h2")
        for number in (1, 2):
            with_rsa(files, today)
            assert tls.look(), number
            assert await door.shown() == (serial(files), "h2")
        other = self_signed(tmp_path / "b", ["edge.example"], today)
        files.certificate.write_bytes(other.certificate.read_bytes())
        files.key.write_bytes(other.key.read_bytes())
        assert tls.look()
        assert await door.shown() == (serial(other), "h2")


def with_rsa(files: CertificateFiles, today: dt.datetime) -> None:
    """Puts a certificate with an RSA key in the files' place."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edge.example")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(today).not_valid_after(today + dt.timedelta(days=1))
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files.certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
