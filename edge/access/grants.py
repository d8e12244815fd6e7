"""Who may watch what is not for everybody: grants checked and renewed here, with the WAN cut or not.

Everything needed comes from the directory replica: the coordinator's public keys, what is revoked, and how each
channel is open. Renewing is always done here and never asks the centre: what was revoked there is known here
within seconds while the WAN lives, so an edge is no worse a judge, and when it does not the viewers of a channel
go on until `Grant.until_ms`. No edge need guess whether the centre is away.
"""

import enum
from collections.abc import Callable

import msgspec

from appliance.contracts.directory import ChannelRecord
from appliance.contracts.errors import BadInputError
from appliance.contracts.grants import (
    LATE_S,
    LIFE_S,
    SKEW_MS,
    Grant,
    GrantKeyRecord,
    RevocationRecord,
    read_grant,
    write_grant,
)
from appliance.contracts.subjects import channel_key, grant_key, revocation_key
from appliance.runtime.signing import SigningKey, is_signed

_KNOWN = 50_000  # grants that were looked at lately, good or bad; the one that came first is forgotten first


class Refusal(enum.Enum):
    """Why somebody may not watch; the value is said in WWW-Authenticate."""

    MISSING = "missing"
    INVALID = "invalid"
    EXPIRED = "expired"
    FOREIGN = "other_channel"
    REVOKED = "revoked"


REFUSAL_WORDS = {
    Refusal.MISSING: (401, "This channel is not for everybody: a grant is needed."),
    Refusal.INVALID: (401, "This grant is not valid."),
    Refusal.EXPIRED: (401, "This grant has expired."),
    Refusal.FOREIGN: (403, "This grant is for another channel."),
    Refusal.REVOKED: (403, "This grant was revoked."),
}
"""HTTP status and a sentence for the viewer."""


class Grants:
    """Fed by `directory_changed`, a Replica's on_change. Times in Unix milliseconds."""

    def __init__(self, event: Callable[[str], None]) -> None:
        """`event` counts what is wrong with records of the directory."""
        self._event = event
        self._site: SigningKey | None = None
        self._keys: dict[str, GrantKeyRecord] = {}
        self._records: dict[str, RevocationRecord] = {}
        self._revoked: dict[tuple[str, str], int] = {}
        self._known: dict[str, Grant | None] = {}
        self.revision = 0  # grows when a grant may have lost its force

    def sign_with(self, key: SigningKey) -> None:
        """The key by which this site renews."""
        self._site = key
        self._known.clear()

    def directory_changed(self, key: str, value: bytes | None) -> None:
        """A record of the directory was written or removed."""
        try:
            if key.startswith(grant_key("")):
                self._key_changed(key, value)
            elif key.startswith(revocation_key("")):
                self._revocation_changed(key, value)
            elif key.startswith(channel_key("")):
                self.revision += 1  # it may be open to fewer
        except msgspec.MsgspecError:
            self._event("bad_record")

    def _key_changed(self, key: str, value: bytes | None) -> None:
        self._known.clear()
        self.revision += 1
        if value is None:
            self._keys.pop(key.removeprefix(grant_key("")), None)
        else:
            record = msgspec.json.decode(value, type=GrantKeyRecord)
            self._keys[record.key_id] = record

    def _revocation_changed(self, key: str, value: bytes | None) -> None:
        old = self._records.pop(key, None)
        if old is not None:
            self._revoked.pop((old.user_id, old.channel_id), None)
        if value is not None:
            record = self._records[key] = msgspec.json.decode(value, type=RevocationRecord)
            self._revoked[record.user_id, record.channel_id] = record.until_ms
            self.revision += 1

    def check(self, text: str, channel: ChannelRecord, now_ms: int, *, late_s: int = 0) -> Grant | Refusal:
        """The grant in `text` when it is good for this channel now, or expired at most `late_s` ago."""
        if not text:
            return Refusal.MISSING
        grant = self._read(text)
        if grant is None or now_ms < grant.issued_ms - SKEW_MS:
            return Refusal.INVALID
        if now_ms >= grant.expires_ms + SKEW_MS + late_s * 1000:
            return Refusal.EXPIRED
        if grant.channel_id != channel.channel_id:
            return Refusal.FOREIGN
        return Refusal.REVOKED if self._is_revoked(grant, channel) else grant

    def renew(self, text: str, channel: ChannelRecord, now_ms: int) -> tuple[str, Grant] | Refusal:
        """A grant for longer: for the time that grants last, and not beyond what the coordinator has allowed."""
        old = self.check(text, channel, now_ms, late_s=LATE_S)
        if isinstance(old, Refusal):
            return old
        if self._site is None or now_ms >= old.until_ms:
            return Refusal.EXPIRED
        expires_ms = max(old.expires_ms, min(now_ms + LIFE_S * 1000, old.until_ms))
        grant = msgspec.structs.replace(old, key_id=self._site.key_id, expires_ms=expires_ms)
        return write_grant(grant, self._site.sign(grant.payload())), grant

    def _is_revoked(self, grant: Grant, channel: ChannelRecord) -> bool:
        root = self._keys.get(grant.root)
        if root is None or root.revoked or grant.issued_ms < channel.access_changed_ms:
            return True
        everywhere = self._revoked.get((grant.user_id, ""), -1)
        return grant.issued_ms <= max(everywhere, self._revoked.get((grant.user_id, grant.channel_id), -1))

    def _read(self, text: str) -> Grant | None:
        """A grant that is signed by whom it says; looked at once, since a signature takes its time."""
        if text in self._known:
            return self._known[text]
        if len(self._known) >= _KNOWN:
            del self._known[next(iter(self._known))]
        found = self._known[text] = self._verified(text)
        return found

    def _verified(self, text: str) -> Grant | None:
        try:
            grant, payload, signature = read_grant(text)
        except BadInputError:
            return None
        public = self._public(grant)
        return grant if public is not None and is_signed(public, payload, signature) else None

    def _public(self, grant: Grant) -> bytes | None:
        if self._site is not None and grant.key_id == self._site.key_id:
            return self._site.public
        record = self._keys.get(grant.key_id) if grant.root == grant.key_id else None
        try:
            return bytes.fromhex(record.public) if record is not None else None
        except ValueError:
            self._event("bad_record")
            return None
