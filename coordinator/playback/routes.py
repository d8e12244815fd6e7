"""HTTP face of playback."""

from coordinator.api.route import Call, Reply, Route
from coordinator.playback.models import Playback
from coordinator.playback.service import PlaybackService


def routes(playback: PlaybackService) -> list[Route]:
    """GET /streams/{stream_id}/playback."""

    async def find(call: Call) -> Reply:
        return Reply(200, await playback.find(call.unit, call.path["stream_id"]))

    return [
        Route(
            "GET",
            "/streams/{stream_id}/playback",
            find,
            "Where to watch a stream",
            answer=Playback,
            refusals=(404, 410),
            bare=True,
        )
    ]
