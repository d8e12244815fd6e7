"""HTTP face of streams."""

from coordinator.accounts.models import Scope
from coordinator.api.route import Call, Reply, Route
from coordinator.broadcasts.models import CreatedStream, IngestList, NewStream, PublisherList
from coordinator.broadcasts.service import Broadcasts


def routes(broadcasts: Broadcasts) -> list[Route]:
    """POST /streams, GET /streams/{stream_id}/publishers, GET /ingests."""

    async def announce(call: Call) -> Reply:
        return Reply(201, await broadcasts.announce(call.unit, call.caller, call.body))

    async def publishers(call: Call) -> Reply:
        return Reply(200, await broadcasts.publishers(call.unit, call.caller, call.path["stream_id"]))

    async def ingests(_: Call) -> Reply:
        return Reply(200, broadcasts.ingests())

    return [
        Route(
            "POST",
            "/streams",
            announce,
            "Announce a stream and get its key",
            status=201,
            body=NewStream,
            answer=CreatedStream,
            scope=Scope.STREAM,
            refusals=(404, 409),
            quota="start",
            bare=True,
        ),
        Route(
            "GET",
            "/streams/{stream_id}/publishers",
            publishers,
            "How the encoders of a stream fared: sessions, measurements, advice",
            answer=PublisherList,
            scope=Scope.STREAM,
            refusals=(404,),
        ),
        Route(
            "GET",
            "/ingests",
            ingests,
            "Where encoders may publish, nearest first",
            answer=IngestList,
            in_unit=False,
        ),
    ]
