"""What a durable stream or bucket is configured as, in the server's own words."""

from dataclasses import dataclass
from typing import Any

from appliance.contracts.subjects import kept

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A stream. Ages in seconds, sizes in bytes; 0 means no limit.

    `synced`: written to disk before the acknowledgement (the server's sync_interval decides); otherwise the
    acknowledgement does not wait for the disk. `refuse_when_full`: new messages are refused rather than old
    ones dropped.
    """

    name: str
    subjects: tuple[str, ...] = ()
    max_age_s: float = 0.0
    max_bytes: int = 0
    memory: bool = False
    synced: bool = True
    refuse_when_full: bool = False
    duplicate_window_s: float = 120.0
    per_subject: int = 0
    key_value: bool = False

    def config(self) -> dict[str, Any]:
        """Body of STREAM.CREATE and STREAM.UPDATE."""
        window = min(self.duplicate_window_s, self.max_age_s or self.duplicate_window_s)
        body: dict[str, Any] = {
            "name": self.name,
            "retention": "limits",
            "storage": "memory" if self.memory else "file",
            "num_replicas": 1,
            "max_consumers": -1,
            "max_msgs": -1,
            "max_bytes": self.max_bytes or -1,
            "max_age": int(self.max_age_s * _NS),
            "max_msgs_per_subject": self.per_subject or -1,
            "discard": "new" if self.refuse_when_full else "old",
            "allow_direct": True,
        }
        body |= {"subjects": list(self.subjects), "duplicate_window": int(window * _NS)}
        if not self.memory and not self.synced:
            body["persist_mode"] = "async"
        if self.key_value:
            body |= {"allow_rollup_hdrs": True, "deny_delete": True, "allow_msg_ttl": True}
        return body


@dataclass(frozen=True, slots=True)
class BucketSpec:
    """A key-value bucket that keeps the last value of each key.

    `max_bytes`: beyond it the values that were written longest ago are dropped; 0 means no limit.
    """

    name: str
    ttl_s: float = 0.0
    synced: bool = True
    max_bytes: int = 0

    def stream(self) -> StreamSpec:
        """The stream that holds it."""
        return StreamSpec(
            f"KV_{self.name}",
            (kept(self.name, ">"),),
            max_age_s=self.ttl_s,
            max_bytes=self.max_bytes,
            synced=self.synced,
            refuse_when_full=not self.max_bytes,
            per_subject=1,
            key_value=True,
        )
