"""Follows and subscriptions."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

MAX_FOLLOWS = 5000
MONTH_S = 30 * 86_400
MAX_LIFE_S = 10 * 366 * 86_400


class Follow(msgspec.Struct, frozen=True, kw_only=True):
    """A channel that a user follows."""

    channel: str
    channel_id: str
    followed_at: datetime


class FollowList(msgspec.Struct, frozen=True, kw_only=True):
    """By name of the channel."""

    follows: list[Follow]


class NewSubscription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /subscriptions: what was paid for elsewhere, told by an operator.

    `gifted_by`: the user who paid for it, when that is another one.
    """

    user_id: str
    channel: str
    tier: int = 1
    expires_in_s: int = MONTH_S
    gifted_by: str | None = None


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """`ended_at` when it was ended before its time."""

    subscription_id: str
    user_id: str
    channel: str
    tier: int
    started_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
    gifted_by: str | None = None


class SubscriptionList(msgspec.Struct, frozen=True, kw_only=True):
    """The newest first."""

    subscriptions: list[Subscription]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a user stands to a channel: `subscribed_until` is None without a subscription that runs."""

    suspended: bool
    follows: bool
    subscribed_until: datetime | None
