"""HTTP face of moderation."""

from coordinator.accounts.models import Scope
from coordinator.api.route import Call, Reply, Route
from coordinator.moderation.models import Audit, AuditQuery, DoneAction, NewAction, RoomView
from coordinator.moderation.service import Moderations


def routes(moderations: Moderations) -> list[Route]:
    """Actions in a room or in all rooms; the audit trail and the state of a room."""

    async def act(call: Call) -> Reply:
        channel = call.path.get("channel", "")  # without one: in every room
        return Reply(201, await moderations.act(call.caller, channel, call.body, call.idempotency_key))

    async def audit(call: Call) -> Reply:
        return Reply(200, await moderations.audit(call.unit, call.caller, call.path["channel"], call.query))

    async def room(call: Call) -> Reply:
        return Reply(200, await moderations.room(call.unit, call.caller, call.path["channel"]))

    return [
        Route(
            "POST",
            "/moderation/{channel}/actions",
            act,
            "Moderate a chat room",
            status=201,
            body=NewAction,
            answer=DoneAction,
            scope=Scope.CHAT,
            refusals=(404, 503),
            in_unit=False,
        ),
        Route(
            "POST",
            "/moderation/actions",
            act,
            "Block words, patterns and permit domains in every room",
            status=201,
            body=NewAction,
            answer=DoneAction,
            scope=Scope.OPERATOR,
            refusals=(503,),
            in_unit=False,
        ),
        Route(
            "GET",
            "/moderation/{channel}/events",
            audit,
            "Who did what in a chat room, and why",
            query=AuditQuery,
            answer=Audit,
            scope=Scope.CHAT,
            refusals=(404,),
        ),
        Route(
            "GET",
            "/moderation/{channel}",
            room,
            "Modes, terms, roles and restrictions of a chat room",
            answer=RoomView,
            scope=Scope.CHAT,
            refusals=(404,),
        ),
    ]
