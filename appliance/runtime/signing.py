"""Ed25519 signatures (RFC 8032), for grants."""

import hashlib

import nacl.exceptions
import nacl.signing

SEED = 32


class SigningKey:
    """A private key, made from its 32 byte seed. `key_id`: 8 bytes of the public key's SHA-256, as hex."""

    def __init__(self, seed: bytes) -> None:
        self._key = nacl.signing.SigningKey(seed)
        self.public = bytes(self._key.verify_key)
        self.key_id = hashlib.sha256(self.public).hexdigest()[:16]

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of the signature."""
        return self._key.sign(data).signature


def is_signed(public: bytes, data: bytes, signature: bytes) -> bool:
    """Whether the owner of `public` (32 bytes) signed `data`; takes about 0.1 ms."""
    try:
        nacl.signing.VerifyKey(public).verify(data, signature)
    except (nacl.exceptions.BadSignatureError, ValueError, TypeError):
        return False
    return True
