"""The certificate of this node's TLS ports, changed without a restart when its files change; and TLS to others."""

import asyncio
import ssl
from pathlib import Path

from appliance.contracts.errors import ConfigError
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter

_LOOK_S = 5.0
_RELOADS = counter("nearcast_tls_reloads_total", "Times the certificate files had changed.", ["result"])


def _no_password() -> str:
    """Without this OpenSSL asks the terminal, and everything waits for the answer."""
    raise ssl.SSLError("the key is encrypted; store it without a password")


def client_tls(authority: str, certificate: str, key: str) -> ssl.SSLContext:
    """TLS to a server whose certificate must name it and be vouched for. ConfigError when a file cannot be used.

    authority: PEM file of who vouches, empty for those that the system trusts. certificate, key: PEM files that
    this side shows, empty where servers do not ask.
    """
    try:
        context = ssl.create_default_context(cafile=authority or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate:
            context.load_cert_chain(certificate, key or None, _no_password)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(name for name in (authority, certificate, key) if name)
        raise ConfigError(f"TLS files {files}: {error}") from error
    return context


class ServerTls:
    """Connections made after a reload see the new certificate: `current` is for each of them.

    A context keeps a certificate of each kind of key, and shows clients the kind that they like best. So a new
    certificate gets a context of its own: the old one is forgotten. `context` is for listeners that have one for
    ever, and passes each handshake on to the current one. That is only for asyncio's own TLS and uvloop's.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        """PEM files: the chain, leaf first, and its key. ConfigError when they cannot be used."""
        self._certificate, self._key = certificate, key
        self._protocols: list[str] = []
        self._ciphers = ""
        self._log = get_logger("tls")
        self._seen = self._stamp()
        self._refused = ""  # why, as long as the same is the matter
        self.current, self.context = self._loaded(), self._loaded()
        self.context.sni_callback = self._pass_on  # called whether or not a client names the server

    def set_up(self, *, protocols: list[str], ciphers: str = "") -> None:
        """What is spoken over it (RFC 7301), the most wished first, and the ciphers of TLS 1.2 for that."""
        self._protocols, self._ciphers = protocols, ciphers
        self._apply(self.context)
        self._apply(self.current)

    async def watch(self) -> None:
        """Looks at the files every few seconds, until cancelled. Broken ones are left alone, and said once."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.look()

    def look(self) -> bool:
        """Takes changed files into use. True when that was done."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        try:
            self.current = self._loaded()
        except ConfigError as error:
            if error.detail != self._refused:
                self._refused = error.detail
                _RELOADS.labels("refused").inc()
                self._log.error("certificate_refused", error=error.detail)
            return False
        self._seen, self._refused = stamp, ""
        _RELOADS.labels("taken").inc()
        self._log.info("certificate_reloaded", file=str(self._certificate))
        return True

    def _pass_on(self, wire: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        wire.context = self.current

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._certificate, self._key, _no_password)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"certificate {self._certificate} and key {self._key}: {error}") from error
        self._apply(context)
        return context

    def _apply(self, context: ssl.SSLContext) -> None:
        if self._protocols:
            context.set_alpn_protocols(self._protocols)
        if self._ciphers:
            context.set_ciphers(self._ciphers)

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
