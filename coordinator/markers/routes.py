"""HTTP face of markers."""

from coordinator.accounts.models import Scope
from coordinator.api.route import Call, Reply, Route
from coordinator.markers.models import Marker, NewMarker
from coordinator.markers.service import Markers


def routes(markers: Markers) -> list[Route]:
    """POST /streams/{stream_id}/markers."""

    async def mark(call: Call) -> Reply:
        return Reply(201, await markers.set(call.caller, call.path["stream_id"], call.body, call.idempotency_key))

    return [
        Route(
            "POST",
            "/streams/{stream_id}/markers",
            mark,
            "Mark the present moment of a live stream; players find it in the playlist",
            status=201,
            body=NewMarker,
            answer=Marker,
            scope=Scope.STREAM,
            refusals=(404, 503),
            in_unit=False,
        ),
    ]
