"""Keys of WebRTC publishers: looked at when an offer comes, long before the gate admits anybody."""

import asyncio

from appliance.contracts import subjects
from appliance.contracts.directory import KeyRecord
from appliance.contracts.media import Notice
from appliance.runtime.clock import now_ms
from edge.ingest.keys import Directory, Refusal, authorise
from edge.ingest.records import Records

_UNKNOWN_S, _UNKNOWN_STEP_S = 0.4, 0.04  # a key made a moment ago may be on its way here
_UNKNOWN = 200  # requests that wait so


class Access:
    """Reads the directory, and writes notices that the owner of a channel sees."""

    def __init__(self, directory: Directory, records: Records) -> None:
        self._directory = directory
        self._records = records
        self._unknown = 0

    async def check(self, key: str) -> Refusal | None:
        """Why this key may not publish, None when it may. An unknown one is waited for, less than a second."""
        decided = authorise(self._directory, key, now_ms())
        if isinstance(decided, Refusal) and decided.code == "unknown_key" and self._unknown < _UNKNOWN:
            decided = await self._look_again(key, decided)
        if isinstance(decided, KeyRecord):
            return None
        self._note(decided)
        return decided

    def warn(self, key: str, code: str, text: str) -> None:
        """Tells the owner of a key what went wrong, in words."""
        decided = authorise(self._directory, key, now_ms())
        if isinstance(decided, KeyRecord):
            self._note(Refusal(code, text, decided.channel_id, decided.channel))

    async def _look_again(self, key: str, decided: KeyRecord | Refusal) -> KeyRecord | Refusal:
        self._unknown += 1
        try:
            for _ in range(int(_UNKNOWN_S / _UNKNOWN_STEP_S)):
                await asyncio.sleep(_UNKNOWN_STEP_S)
                decided = authorise(self._directory, key, now_ms())
                if isinstance(decided, KeyRecord) or decided.code != "unknown_key":
                    break
        finally:
            self._unknown -= 1
        return decided

    def _note(self, refusal: Refusal) -> None:
        if not refusal.channel_id:
            return
        notice = Notice(
            channel_id=refusal.channel_id,
            channel=refusal.channel,
            at_ms=now_ms(),
            code=refusal.code,
            text=refusal.text,
        )
        self._records.put(subjects.notice_key(refusal.channel_id), notice)
