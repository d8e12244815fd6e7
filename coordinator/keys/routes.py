"""HTTP face of stream keys."""

from coordinator.accounts.models import Scope
from coordinator.api.route import Call, Reply, Route
from coordinator.keys.models import CreatedKey, KeyList, KeyView, NewKey
from coordinator.keys.service import Keys


def routes(keys: Keys) -> list[Route]:
    """GET and POST of a channel's keys, DELETE of one."""

    async def page(call: Call) -> Reply:
        return Reply(200, await keys.page(call.unit, call.caller, call.path["name"]))

    async def create(call: Call) -> Reply:
        return Reply(201, await keys.create(call.unit, call.caller, call.path["name"], call.body))

    async def revoke(call: Call) -> Reply:
        return Reply(200, await keys.revoke(call.unit, call.caller, call.path["name"], call.path["key_id"]))

    return [
        Route(
            "GET",
            "/channels/{name}/keys",
            page,
            "The valid stream keys, without their secrets",
            answer=KeyList,
            scope=Scope.STREAM,
            refusals=(404,),
        ),
        Route(
            "POST",
            "/channels/{name}/keys",
            create,
            "One more stream key",
            status=201,
            body=NewKey,
            answer=CreatedKey,
            scope=Scope.STREAM,
            refusals=(404, 409),
        ),
        Route(
            "DELETE",
            "/channels/{name}/keys/{key_id}",
            revoke,
            "Revoke a stream key; its encoder is cut",
            answer=KeyView,
            scope=Scope.STREAM,
            refusals=(404,),
        ),
    ]
