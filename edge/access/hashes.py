"""What stands for a viewer's session and place outside the process that saw them."""

import hashlib


class Hashes:
    """Hashes under `key`, which the site shares."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def session(self, text: str) -> int:
        """64 bits of a session id."""
        return int.from_bytes(self._digest(text, 8, b"session"))

    def place(self, address: str) -> int:
        """32 bits of an address."""
        return int.from_bytes(self._digest(address, 4, b"place"))

    def _digest(self, text: str, size: int, use: bytes) -> bytes:
        data = text.encode(errors="replace")
        return hashlib.blake2b(data, digest_size=size, key=self._key, person=use).digest()
