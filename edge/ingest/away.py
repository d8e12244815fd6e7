"""Gives interludes to the part log while their publishers are away, from the last message of each rendition on."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from appliance.contracts import subjects
from appliance.contracts.errors import NearcastError
from appliance.contracts.media import AUDIO, CHUNK_HEADER, SOURCE, Broadcast, Init
from appliance.runtime.clock import now_us
from appliance.runtime.settings import MediaSettings
from edge.ingest.appends import Appends
from edge.ingest.interlude import Interlude
from edge.ingest.rendition import Append, ResumePoint
from edge.ingest.shared import PackagerConfig

_FLUSH_S: Final = 2.0


class _Running:
    """One broadcast's."""

    def __init__(self, broadcast_id: str, interlude: Interlude, fences: dict[str, int]) -> None:
        self.broadcast_id = broadcast_id
        self.interlude = interlude
        self.fences = fences  # of renditions to which nothing was given yet
        self.pending: dict[str, asyncio.Future[int]] = {}
        self.is_fenced = False  # somebody else writes


class Away:
    """By channel. `tell` may be cancelled at any time; then comes `finish`."""

    def __init__(self, media: MediaSettings, appender: Appends) -> None:
        self._media = media
        self._appender = appender
        self._running: dict[str, _Running] = {}

    async def tell(
        self,
        broadcast: Broadcast,
        resume: Mapping[str, ResumePoint],
        inits: Mapping[str, Sequence[Init]],
        until: float,
        is_resumed: Callable[[], bool],
    ) -> None:
        """Tells what is missing until loop time `until`. Returns earlier when there is nothing to go on from, or
        another process goes on, which `is_resumed` tells.
        """
        config = PackagerConfig(
            part_target_s=broadcast.part_target_s, segment_target_s=self._media.segment_target_s
        )
        sent = {name: point for name, point in resume.items() if _is_sent(broadcast, name)}
        interlude = Interlude(config, sent, inits, now_us())
        if not interlude.is_possible:
            return
        fences = {name: point.sequence for name, point in sent.items()}
        running = self._running[broadcast.channel_id] = _Running(broadcast.broadcast_id, interlude, fences)
        loop = asyncio.get_running_loop()
        while not (running.is_fenced or is_resumed()) and (left := until - loop.time()) > 0:
            self._give(running, interlude.tell(now_us()))
            await asyncio.sleep(min(left, max(0.0, (interlude.due_us - now_us()) / 1_000_000)))
        self._running.pop(broadcast.channel_id, None)

    async def finish(self, channel_id: str, from_us: int) -> None:
        """Somebody goes on with what comes from `from_us` on, 0: now. Returns once the log has all up to there."""
        running = self._running.pop(channel_id, None)
        if running is None or running.is_fenced:
            return
        at_us = now_us()
        self._give(running, running.interlude.finish(min(from_us or at_us, at_us), at_us))
        if running.pending:
            await asyncio.wait(running.pending.values(), timeout=_FLUSH_S)

    def _give(self, running: _Running, appends: list[Append]) -> None:
        def acknowledged(future: "asyncio.Future[int]") -> None:
            if not future.cancelled() and isinstance(future.exception(), NearcastError):
                running.is_fenced = True

        for append in appends:
            future = self._appender.append(
                subjects.media(running.broadcast_id, append.rendition),
                append.data,
                message_id=append.header.message_id(running.broadcast_id, append.rendition),
                headers={CHUNK_HEADER: append.header.encode()},
                expect_last=running.fences.pop(append.rendition, None),
            )
            future.add_done_callback(acknowledged)
            running.pending[append.rendition] = future


def _is_sent(broadcast: Broadcast, name: str) -> bool:
    return name in (SOURCE, AUDIO) or name in broadcast.ladder
