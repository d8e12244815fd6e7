"""The certificate of this node's TLS ports, changed without a restart when its files change; and TLS to others."""

import asyncio
import ssl
from pathlib import Path

from appliance.contracts.errors import ConfigError
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter

_LOOK_S = 5.0
_RELOADS = counter("nearcast_tls_reloads_total", "Times the certificate files had changed.", ["result"])


def client_tls(authority: str, certificate: str, key: str) -> ssl.SSLContext:
    """TLS to a server whose certificate must name it and be vouched for. ConfigError when a file cannot be used.

    authority: PEM file of who vouches, empty for those that the system trusts. certificate, key: PEM files that
    this side shows, empty where servers do not ask.
    """
    try:
        context = ssl.create_default_context(cafile=authority or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate:
            context.load_cert_chain(certificate, key or None)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(name for name in (authority, certificate, key) if name)
        raise ConfigError(f"TLS files {files}: {error}") from error
    return context


class ServerTls:
    """`context` is what listeners use for ever; connections made after a reload see the new certificate."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """PEM files: the chain, leaf first, and its key. ConfigError when they cannot be used."""
        self._certificate, self._key = certificate, key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._log = get_logger("tls")
        self._seen = self._stamp()
        self._load(self.context)

    async def watch(self) -> None:
        """Looks at the files every few seconds, until cancelled. Broken ones are left alone, and said."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.look()

    def look(self) -> bool:
        """Takes changed files into use. True when that was done."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        try:
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # a half-written pair must not reach the one in use
            self._load(self.context)
        except ConfigError as error:
            _RELOADS.labels("refused").inc()
            self._log.error("certificate_refused", error=error.detail)
            return False
        self._seen = stamp
        _RELOADS.labels("taken").inc()
        self._log.info("certificate_reloaded", file=str(self._certificate))
        return True

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self._certificate, self._key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"certificate {self._certificate} and key {self._key}: {error}") from error

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        found = []
        for path in (self._certificate, self._key):
            try:
                state = path.stat()
            except OSError:
                found.append((0, 0))
            else:
                found.append((state.st_mtime_ns, state.st_ino))
        return tuple(found)
