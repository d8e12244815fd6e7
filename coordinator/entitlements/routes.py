"""HTTP face of follows and subscriptions."""

from coordinator.accounts.models import Scope
from coordinator.api.route import ANYONE_KNOWN, Call, Reply, Route
from coordinator.entitlements.models import FollowList, NewSubscription, Subscription, SubscriptionList
from coordinator.entitlements.service import Entitlements

_FOLLOW = "/users/me/follows/{channel}"


def routes(entitlements: Entitlements) -> list[Route]:
    """Follows of the caller; subscriptions, told by operators."""

    async def follows(call: Call) -> Reply:
        return Reply(200, await entitlements.follows(call.unit, call.caller))

    async def follow(call: Call) -> Reply:
        await entitlements.follow(call.unit, call.caller, call.path["channel"])
        return Reply(204)

    async def unfollow(call: Call) -> Reply:
        await entitlements.unfollow(call.unit, call.caller, call.path["channel"])
        return Reply(204)

    async def subscriptions(call: Call) -> Reply:
        return Reply(200, await entitlements.subscriptions(call.unit, call.caller))

    async def subscribe(call: Call) -> Reply:
        return Reply(201, await entitlements.subscribe(call.unit, call.body))

    async def end(call: Call) -> Reply:
        await entitlements.end(call.unit, call.path["subscription_id"])
        return Reply(204)

    return [
        Route("GET", "/users/me/follows", follows, "Channels I follow", answer=FollowList, scope=ANYONE_KNOWN),
        Route("PUT", _FOLLOW, follow, "Follow a channel", status=204, scope=ANYONE_KNOWN, refusals=(404, 409)),
        Route("DELETE", _FOLLOW, unfollow, "Follow it no longer", status=204, scope=ANYONE_KNOWN, refusals=(404,)),
        Route(
            "GET",
            "/users/me/subscriptions",
            subscriptions,
            "My subscriptions",
            answer=SubscriptionList,
            scope=ANYONE_KNOWN,
        ),
        Route(
            "POST",
            "/subscriptions",
            subscribe,
            "Record a subscription that was paid for",
            status=201,
            body=NewSubscription,
            answer=Subscription,
            scope=Scope.OPERATOR,
            refusals=(404,),
        ),
        Route(
            "DELETE",
            "/subscriptions/{subscription_id}",
            end,
            "End a subscription at once",
            status=204,
            scope=Scope.OPERATOR,
            refusals=(404,),
        ),
    ]
