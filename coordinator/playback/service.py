"""Rules of playback."""

from appliance.contracts.errors import GoneError
from coordinator.broadcasts.models import Status
from coordinator.broadcasts.service import Broadcasts
from coordinator.endpoints import Endpoints
from coordinator.playback.models import Playback
from coordinator.unit import Unit


class PlaybackService:
    """Answers where to fetch a stream."""

    def __init__(self, broadcasts: Broadcasts, endpoints: Endpoints) -> None:
        self._broadcasts = broadcasts
        self._endpoints = endpoints

    async def find(self, unit: Unit, stream_id: str) -> Playback:
        """URLs, before it is live as well. NotFoundError: never was; GoneError: over and no VOD."""
        row = await self._broadcasts.require(unit, stream_id)
        if row.status == Status.ENDED:
            if row.vod_url is None:
                raise GoneError("the stream has ended and its recording is not ready", code="stream_ended")
            urls, status = [row.vod_url], "vod"
        else:
            urls, status = self._endpoints.playback(row.channel, row.edge_id), row.status
        return Playback(
            stream_id=row.stream_id,
            status=status,
            playback_url=urls[0],
            playback_urls=urls,
            chat_url=self._endpoints.chat(row.stream_id, row.edge_id),
            thumbnail_url=self._endpoints.thumbnail(row.channel, row.edge_id),
        )
