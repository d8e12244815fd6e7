"""HTTP face of channels."""

from coordinator.accounts.models import Scope
from coordinator.api.route import Call, Reply, Route
from coordinator.channels.models import (
    ChangedChannel,
    ChannelList,
    ChannelQuery,
    ChannelView,
    CreatedChannel,
    NewChannel,
    RotatedKey,
)
from coordinator.channels.service import Channels


def routes(channels: Channels) -> list[Route]:
    """GET and POST /channels, GET and PATCH of one, POST of a new key."""

    async def page(call: Call) -> Reply:
        return Reply(200, await channels.page(call.unit, call.query))

    async def one(call: Call) -> Reply:
        return Reply(200, channels.view(await channels.require(call.unit, call.path["name"])))

    async def create(call: Call) -> Reply:
        return Reply(201, await channels.create(call.unit, call.caller, call.body))

    async def change(call: Call) -> Reply:
        return Reply(200, await channels.change(call.unit, call.caller, call.path["name"], call.body))

    async def rotate(call: Call) -> Reply:
        return Reply(201, await channels.rotate_key(call.unit, call.caller, call.path["name"]))

    return [
        Route("GET", "/channels", page, "Channels by name", query=ChannelQuery, answer=ChannelList),
        Route("GET", "/channels/{name}", one, "One channel", answer=ChannelView, refusals=(404,)),
        Route(
            "POST",
            "/channels",
            create,
            "Create a channel with a stream key and a token",
            status=201,
            body=NewChannel,
            answer=CreatedChannel,
            scope=Scope.STREAM,
            refusals=(404, 409),
        ),
        Route(
            "PATCH",
            "/channels/{name}",
            change,
            "Change title, category, profile, access, suspension or partnership",
            body=ChangedChannel,
            answer=ChannelView,
            scope=Scope.STREAM,
            refusals=(404,),
        ),
        Route(
            "POST",
            "/channels/{name}/rotate-key",
            rotate,
            "Replace every stream key by a new one",
            status=201,
            answer=RotatedKey,
            scope=Scope.STREAM,
            refusals=(404,),
        ),
    ]
