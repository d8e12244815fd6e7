"""HTTP face of playback."""

from coordinator.api.route import ANYONE_KNOWN, MAYBE_KNOWN, Call, Reply, Route
from coordinator.grants.models import GrantQuery, IssuedGrant
from coordinator.playback.models import Playback
from coordinator.playback.service import PlaybackService


def routes(playback: PlaybackService) -> list[Route]:
    """GET /streams/{stream_id}/playback, POST /channels/{name}/grant."""

    async def find(call: Call) -> Reply:
        stream_id = call.path["stream_id"]
        return Reply(200, await playback.find(call.unit, call.known_caller, stream_id, call.query.life_s))

    async def grant(call: Call) -> Reply:
        return Reply(201, await playback.grant(call.unit, call.caller, call.path["name"], call.query.life_s))

    return [
        Route(
            "GET",
            "/streams/{stream_id}/playback",
            find,
            "Where to watch a stream",
            query=GrantQuery,
            answer=Playback,
            scope=MAYBE_KNOWN,
            refusals=(404, 410),
            bare=True,
        ),
        Route(
            "POST",
            "/channels/{name}/grant",
            grant,
            "What lets me watch a channel that is not for everybody",
            status=201,
            query=GrantQuery,
            answer=IssuedGrant,
            scope=ANYONE_KNOWN,
            refusals=(404,),
        ),
    ]
