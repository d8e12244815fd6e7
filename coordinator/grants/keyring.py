"""The private keys of this coordinator: each in a file of its own, or only in memory without a folder."""

import os
from pathlib import Path

from appliance.contracts.errors import ConfigError
from appliance.engines.files import make_directory, write_private
from appliance.runtime.signing import SEED, SigningKey

_SUFFIX = ".seed"


class Keyring:
    """Made once at start. ConfigError when the folder cannot be read or written."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._keys: dict[str, SigningKey] = {}
        self._made: set[str] = set()  # by this process: their rows may not be committed yet
        if folder is not None:
            self._read(folder)

    def _read(self, folder: Path) -> None:
        try:
            make_directory(folder)
            for file in sorted(folder.glob(f"*{_SUFFIX}")):
                key = SigningKey(bytes.fromhex(file.read_text(encoding="ascii")))
                self._keys[key.key_id] = key
        except (OSError, ValueError) as error:
            raise ConfigError(f"keys of grants in {folder}: {error}") from error

    def __contains__(self, key_id: str) -> bool:
        return key_id in self._keys

    def get(self, key_id: str) -> SigningKey:
        """The key of that id; KeyError when it is not ours."""
        return self._keys[key_id]

    def make(self) -> SigningKey:
        """A key that is on the disk when this returns."""
        seed = os.urandom(SEED)
        key = SigningKey(seed)
        if self._folder is not None:
            write_private(self._folder / f"{key.key_id}{_SUFFIX}", seed.hex())
        self._keys[key.key_id] = key
        self._made.add(key.key_id)
        return key

    def keep(self, key_ids: set[str]) -> None:
        """Forgets every other key of an earlier process."""
        for key_id in self._keys.keys() - key_ids - self._made:
            del self._keys[key_id]
            if self._folder is not None:
                (self._folder / f"{key_id}{_SUFFIX}").unlink(missing_ok=True)
