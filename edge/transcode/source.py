"""What a job knows of its broadcast while it runs: the records of the live bucket, as they change."""

import asyncio

from appliance.contracts.errors import UnavailableError
from appliance.contracts.media import Broadcast, BroadcastState, ChunkHeader, Init, Rendition
from appliance.runtime.metrics import counter
from edge.transcode.forms import AudioForm, SourceError, VideoForm, audio_form, video_form

_INIT_WAIT_S = 10.0  # a record may come a little after the first chunk that it is for
_UNKNOWN = counter("nearcast_transcode_unknown_sources_total", "Initialisation segments no decoder is for.")


class BroadcastView:
    """The newest records of one broadcast. Used in the loop only."""

    def __init__(self, broadcast: Broadcast) -> None:
        self.broadcast = broadcast
        self.is_over = broadcast.state is BroadcastState.ENDED
        self._renditions: dict[str, Rendition] = {}
        self._forms: dict[tuple[str, int], VideoForm | AudioForm | None] = {}
        self._changed = asyncio.Event()

    @property
    def is_live(self) -> bool:
        """Whether a publisher is there."""
        return self.broadcast.state is BroadcastState.LIVE and not self.is_over

    def set_broadcast(self, broadcast: Broadcast) -> None:
        """The broadcast's record changed."""
        self.broadcast = broadcast
        if broadcast.state is BroadcastState.ENDED:
            self.is_over = True
        self._tell()

    def end(self) -> None:
        """The broadcast is over, or its record is gone."""
        self.is_over = True
        self._tell()

    def set_rendition(self, rendition: Rendition) -> None:
        """A rendition that ingest writes is new or has a new initialisation segment."""
        self._renditions[rendition.name] = rendition
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def rendition(self, name: str) -> Rendition | None:
        """The newest record of that name."""
        found = self._renditions.get(name)
        return found if found is not None and found.inits else None

    async def changed(self) -> None:
        """Returns at the next change."""
        waiting = self._changed
        await waiting.wait()

    async def form_of(self, name: str, header: ChunkHeader) -> VideoForm | AudioForm | None:
        """What decodes a chunk of `name`; None when nothing here does. UnavailableError: it is not announced."""
        key = name, header.init
        if key not in self._forms:
            try:
                async with asyncio.timeout(_INIT_WAIT_S):
                    init = await self._init(*key)
            except TimeoutError as error:
                raise UnavailableError(f"init {header.init} of {name} is not announced") from error
            self._forms[key] = _read(init)
        return self._forms[key]

    async def _init(self, name: str, number: int) -> Init:
        while True:
            found = self.rendition(name)
            for init in found.inits if found is not None else ():
                if init.init == number:
                    return init
            await self.changed()


def _read(init: Init) -> VideoForm | AudioForm | None:
    try:
        return video_form(init) if init.video is not None else audio_form(init)
    except SourceError:
        _UNKNOWN.inc()
        return None
