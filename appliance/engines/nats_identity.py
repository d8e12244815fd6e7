"""Who may do what on NATS: operator, account, scoped signing key, and the credentials issued with them.

Decentralised JWT as the hub expects it (NATS ADR-14). One scoped template is the policy of all appliances:
its subjects carry the user's name, so issuing a credential is signing one token.
"""

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import nkeys

_KINDS = {
    "operator": nkeys.PREFIX_BYTE_OPERATOR,
    "account": nkeys.PREFIX_BYTE_ACCOUNT,
    "user": nkeys.PREFIX_BYTE_USER,
}

EDGE_PUBLISH = [
    "fed.{{name()}}.>",
    "chat.*.*.{{name()}}",  # the last token is the origin: no edge can speak for another
    "$JS.hub.API.CONSUMER.CREATE.KV_directory",
    "$JS.hub.API.CONSUMER.CREATE.KV_directory.>",
    "$JS.hub.API.STREAM.INFO.KV_directory",
    "$JS.hub.API.CONSUMER.MSG.NEXT.KV_directory.>",
    "_INBOX.hub.>",
]
EDGE_SUBSCRIBE = [
    "ctl.{{name()}}.>",
    "ctl.all.>",
    "chat.>",
    "$JS.{{name()}}.API.>",
    "_INBOX.{{name()}}.>",
    "$JS.ACK.OUTBOX_{{name()}}.>",
]


class Key:
    """An Ed25519 key of one kind ("operator", "account" or "user"), kept as its seed in a file."""

    def __init__(self, seed: bytes) -> None:
        self.seed = seed
        self._pair = nkeys.from_seed(bytearray(seed))
        self.public = self._pair.public_key.decode()

    @classmethod
    def load(cls, path: Path, kind: str) -> "Key":
        """The key in `path`, made there (mode 0600) when missing."""
        if not path.exists():
            seed = nkeys.encode_seed(os.urandom(32), _KINDS[kind])
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(bytes(seed))
        return cls(path.read_bytes())

    def sign(self, claims: dict[str, Any]) -> str:
        """A token with these claims, issued by this key."""
        claims = {**claims, "iss": self.public, "iat": 0}
        claims["jti"] = base64.b32encode(hashlib.sha256(_json(claims)).digest()).decode().rstrip("=")
        head = _b64(_json({"typ": "JWT", "alg": "ed25519-nkey"}))
        body = _b64(_json(claims))
        return f"{head}.{body}." + _b64(self._pair.sign(f"{head}.{body}".encode()))


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def operator_token(operator: Key, system_account: str) -> str:
    """The operator's own token."""
    nats = {"type": "operator", "version": 2, "system_account": system_account}
    return operator.sign({"sub": operator.public, "name": "nearcast", "nats": nats})


def account_token(operator: Key, account: Key, name: str, *, jetstream: bool, scope: Key | None = None) -> str:
    """An account's token. `scope`: signing key whose users get the appliance template."""
    unlimited = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)
    limits: dict[str, Any] = {**unlimited, "wildcards": True}
    if jetstream:
        limits |= {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    nats: dict[str, Any] = {"type": "account", "version": 2, "limits": limits}
    if scope is not None:
        template = {
            "pub": {"allow": EDGE_PUBLISH},
            "sub": {"allow": EDGE_SUBSCRIBE},
            "subs": -1,
            "data": -1,
            "payload": -1,
        }
        nats["signing_keys"] = [{"kind": "user_scope", "key": scope.public, "role": "edge", "template": template}]
    return operator.sign({"sub": account.public, "name": name, "nats": nats})


def credentials(account: Key, signer: Key, user: Key, name: str, *, scoped: bool) -> str:
    """The text of a credentials file: the user's token and its seed."""
    nats: dict[str, Any] = {"type": "user", "version": 2}
    if scoped:
        nats["issuer_account"] = account.public
    else:
        nats |= {"subs": -1, "data": -1, "payload": -1}
    token = signer.sign({"sub": user.public, "name": name, "nats": nats})
    seed = user.seed.decode()
    return (
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
