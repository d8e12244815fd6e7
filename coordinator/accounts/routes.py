"""HTTP face of users and tokens."""

from coordinator.accounts.models import (
    ChangedUser,
    CreatedToken,
    CreatedUser,
    Me,
    NewToken,
    NewUser,
    Scope,
    UserView,
)
from coordinator.accounts.service import Accounts
from coordinator.api.route import ANYONE_KNOWN, Call, Handler, Reply, Route


def routes(accounts: Accounts) -> list[Route]:
    """POST /users, PATCH of one, GET /users/me, POST and DELETE of a user's tokens."""

    async def create(call: Call) -> Reply:
        body: NewUser = call.body
        return Reply(201, await accounts.create(call.unit, body.username))

    async def me(call: Call) -> Reply:
        return Reply(200, await accounts.me(call.unit, call.caller))

    async def change(call: Call) -> Reply:
        user = await accounts.change(call.unit, call.path["user_id"], call.body)
        return Reply(200, UserView(user_id=user.user_id, username=user.username, suspended=user.suspended))

    async def issue(call: Call) -> Reply:
        return Reply(201, await accounts.issue_for(call.unit, call.caller, call.path["user_id"], call.body))

    async def revoke(call: Call) -> Reply:
        await accounts.revoke(call.unit, call.caller, call.path["user_id"], call.path["token_id"])
        return Reply(204)

    return [
        *_of_operators(create, change),
        Route("GET", "/users/me", me, "Who this token belongs to", answer=Me, scope=ANYONE_KNOWN),
        Route(
            "POST",
            "/users/{user_id}/tokens",
            issue,
            "Issue another token",
            status=201,
            body=NewToken,
            answer=CreatedToken,
            scope=ANYONE_KNOWN,
            refusals=(404,),
        ),
        Route(
            "DELETE",
            "/users/{user_id}/tokens/{token_id}",
            revoke,
            "Revoke a token",
            status=204,
            scope=ANYONE_KNOWN,
            refusals=(404,),
        ),
    ]


def _of_operators(create: Handler, change: Handler) -> list[Route]:
    return [
        Route(
            "POST",
            "/users",
            create,
            "Create a user with a token",
            status=201,
            body=NewUser,
            answer=CreatedUser,
            scope=Scope.OPERATOR,
            refusals=(409,),
        ),
        Route(
            "PATCH",
            "/users/{user_id}",
            change,
            "Suspend a user, or let them be again",
            body=ChangedUser,
            answer=UserView,
            scope=Scope.OPERATOR,
            refusals=(404,),
        ),
    ]
