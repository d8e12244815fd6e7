"""HTTP face of quality."""

from coordinator.accounts.models import Scope
from coordinator.api.route import Call, Reply, Route
from coordinator.quality.models import QualityQuery, StreamQuality
from coordinator.quality.service import Qualities


def routes(qualities: Qualities) -> list[Route]:
    """GET /streams/{stream_id}/quality."""

    async def timeline(call: Call) -> Reply:
        stream_id = call.path["stream_id"]
        return Reply(200, await qualities.timeline(call.unit, call.caller, stream_id, call.query))

    return [
        Route(
            "GET",
            "/streams/{stream_id}/quality",
            timeline,
            "What viewers of a stream got, minute by minute",
            query=QualityQuery,
            answer=StreamQuality,
            scope=Scope.STREAM,
            refusals=(404,),
        )
    ]
