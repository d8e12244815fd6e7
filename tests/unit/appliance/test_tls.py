"""The node's certificate: made, kept, renewed, and changed under a running listener."""

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from appliance.contracts.errors import ConfigError
from appliance.engines.certificate import CertificateFiles, self_signed
from appliance.runtime.tls import ServerTls

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


async def test_new_connections_see_a_new_certificate(tmp_path: Path) -> None:
    today = dt.datetime.now(dt.UTC)
    files = self_signed(tmp_path / "a", ["edge.example"], today)
    tls = ServerTls(*files)

    def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=tls.context)
    port = server.sockets[0].getsockname()[1]

    async def shown() -> int:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        wire = writer.get_extra_info("ssl_object")
        number = x509.load_der_x509_certificate(wire.getpeercert(binary_form=True)).serial_number
        writer.close()
        return number

    before = await shown()
    assert before == serial(files)
    assert not tls.look()
    other = self_signed(tmp_path / "b", ["edge.example"], today)
    files.certificate.write_bytes(other.certificate.read_bytes())
    assert not tls.look()  # the key does not fit yet
    assert await shown() == before
    other.key.replace(files.key)
    assert tls.look()
    assert await shown() == serial(files) != before
    server.close()
    await server.wait_closed()
