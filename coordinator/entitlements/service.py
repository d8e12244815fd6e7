"""Rules of follows and subscriptions, and who may watch what."""

from collections.abc import Callable
from datetime import datetime, timedelta

from appliance.contracts.directory import Access
from appliance.contracts.errors import BadInputError, ConflictError, ForbiddenError, NotFoundError
from appliance.contracts.ids import is_uuid7
from appliance.runtime.ids import new_id
from coordinator.accounts.models import Caller
from coordinator.accounts.service import Accounts
from coordinator.channels.models import ChannelRow
from coordinator.channels.service import Channels
from coordinator.entitlements import store
from coordinator.entitlements.models import (
    MAX_FOLLOWS,
    MAX_LIFE_S,
    FollowList,
    NewSubscription,
    Subscription,
    SubscriptionList,
)
from coordinator.grants.service import Grants
from coordinator.times import from_ms
from coordinator.unit import Kind, Ref, Unit

_MAX_SHOWN = 500


class Entitlements:
    """`now_ms` gives Unix milliseconds."""

    def __init__(self, accounts: Accounts, channels: Channels, grants: Grants, now_ms: Callable[[], int]) -> None:
        self._accounts = accounts
        self._channels = channels
        self._grants = grants
        self._now_ms = now_ms

    async def check(self, unit: Unit, caller: Caller, channel: ChannelRow) -> datetime | None:
        """Until when the caller may watch the channel, None without an end; whatever its access is.

        ForbiddenError says how to become entitled.
        """
        found = await store.standing(unit.connection, caller.user_id, channel.channel_id, self._now())
        if found is None or found.suspended:
            raise ForbiddenError("this user is suspended", code="suspended")
        if channel.access == Access.PUBLIC or caller.may_act_for(channel.user_id):
            return None
        if channel.access == Access.FOLLOWERS and found.follows:
            return None
        if found.subscribed_until is not None:
            return found.subscribed_until
        if channel.access == Access.FOLLOWERS:
            raise ForbiddenError(
                f"{channel.name} is for followers: follow it, PUT /v1/users/me/follows/{channel.name}",
                code="followers_only",
            )
        raise ForbiddenError(f"{channel.name} is for subscribers: subscribe to it", code="subscribers_only")

    async def follow(self, unit: Unit, caller: Caller, name: str) -> None:
        """Follows a channel. ConflictError: too many; NotFoundError."""
        channel = await self._channels.require(unit, name)
        if await store.count_follows(unit.connection, caller.user_id) >= MAX_FOLLOWS:
            raise ConflictError(f"a user follows at most {MAX_FOLLOWS} channels", code="too_many_follows")
        made = await store.follow(unit.connection, caller.user_id, channel.channel_id, self._now())
        if made is not None:
            unit.changed.add(Ref(Kind.FOLLOW, made))

    async def unfollow(self, unit: Unit, caller: Caller, name: str) -> None:
        """No longer follows a channel, whether it did or not. NotFoundError: the channel."""
        channel = await self._channels.require(unit, name)
        followed = await store.unfollow(unit.connection, caller.user_id, channel.channel_id)
        if followed and channel.access != Access.PUBLIC:
            await self._grants.revoke(unit, caller.user_id, channel.channel_id)

    async def follows(self, unit: Unit, caller: Caller) -> FollowList:
        """What the caller follows."""
        return FollowList(follows=await store.follows_of(unit.connection, caller.user_id))

    async def subscribe(self, unit: Unit, wanted: NewSubscription) -> Subscription:
        """A subscription that begins now. BadInputError: tier, time or giver; NotFoundError: user or channel."""
        if not 1 <= wanted.tier <= 3:
            raise BadInputError("tier is 1, 2 or 3", code="invalid_tier")
        if not 1 <= wanted.expires_in_s <= MAX_LIFE_S:
            raise BadInputError("expires_in_s is one second to ten years", code="invalid_expiry")
        user = await self._accounts.require(unit, wanted.user_id)
        channel = await self._channels.require(unit, wanted.channel)
        if wanted.gifted_by == user.user_id:
            raise BadInputError("nobody gives to himself", code="invalid_gift")
        if wanted.gifted_by is not None:
            await self._accounts.require(unit, wanted.gifted_by)
        now = self._now()
        made = Subscription(
            subscription_id=new_id(),
            user_id=user.user_id,
            channel=channel.name,
            tier=wanted.tier,
            started_at=now,
            expires_at=now + timedelta(seconds=wanted.expires_in_s),
            gifted_by=wanted.gifted_by,
        )
        await store.insert_subscription(unit.connection, made, channel.channel_id)
        unit.changed.add(Ref(Kind.SUBSCRIBER, made.subscription_id))
        return made

    async def end(self, unit: Unit, subscription_id: str) -> None:
        """Ends a subscription at once. NotFoundError."""
        found = None
        if is_uuid7(subscription_id):
            found = await store.end_subscription(unit.connection, subscription_id, self._now())
        if found is None:
            raise NotFoundError("there is no such subscription", code="subscription_not_found")
        unit.changed.add(Ref(Kind.SUBSCRIBER, subscription_id))
        await self._grants.revoke(unit, *found)

    async def subscriptions(self, unit: Unit, caller: Caller) -> SubscriptionList:
        """The caller's, those that are over as well."""
        found = await store.subscriptions_of(unit.connection, caller.user_id, _MAX_SHOWN)
        return SubscriptionList(subscriptions=found)

    def _now(self) -> datetime:
        return from_ms(self._now_ms())
