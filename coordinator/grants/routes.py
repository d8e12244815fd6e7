"""HTTP face of grant keys."""

from coordinator.accounts.models import Scope
from coordinator.api.route import Call, Reply, Route
from coordinator.grants.models import GrantKeys
from coordinator.grants.service import Grants


def routes(grants: Grants) -> list[Route]:
    """GET /grant-keys and DELETE of one, for operators."""

    async def keys(call: Call) -> Reply:
        return Reply(200, await grants.keys(call.unit))

    async def revoke(call: Call) -> Reply:
        await grants.revoke_key(call.unit, call.path["key_id"])
        return Reply(204)

    return [
        Route("GET", "/grant-keys", keys, "Keys that sign grants", answer=GrantKeys, scope=Scope.OPERATOR),
        Route(
            "DELETE",
            "/grant-keys/{key_id}",
            revoke,
            "Void everything that a key signed",
            status=204,
            scope=Scope.OPERATOR,
            refusals=(404,),
        ),
    ]
