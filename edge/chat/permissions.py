"""Whether somebody may write in a room now: restrictions and modes. Pure."""

from appliance.contracts.chat import ErrorCode
from appliance.contracts.errors import ForbiddenError, RateLimitedError
from appliance.contracts.moderation import Modes, Restriction
from edge.chat.ranks import Rank
from edge.chat.states import Standing
from edge.chat.talk import Talk

_MINUTE_MS = 60_000


def check_restriction(standing: Standing, now_ms: int) -> None:
    """ForbiddenError (banned, timed_out with `retry_after_s`, muted) when the user may not write here."""
    if standing.restriction is Restriction.BAN:
        raise ForbiddenError("you are banned from this room", code=ErrorCode.BANNED)
    if standing.restriction is Restriction.TIMEOUT:
        wait_s = max(1.0, (standing.until_ms - now_ms) / 1000)
        raise ForbiddenError("you are timed out", code=ErrorCode.TIMED_OUT, retry_after_s=wait_s)
    if standing.restriction is Restriction.MUTE:
        raise ForbiddenError("you are muted in this room", code=ErrorCode.MUTED)


def check_modes(modes: Modes, standing: Standing, rank: Rank, now_ms: int) -> None:
    """ForbiddenError (subscribers_only, followers_only) when the room is not open to the user.

    VIPs may write where only subscribers or followers may; subscribers count as followers.
    """
    if rank >= Rank.VIP or standing.tier:
        return
    if modes.subscribers:
        raise ForbiddenError("this room is for subscribers at the moment", code=ErrorCode.SUBSCRIBERS_ONLY)
    if modes.followers < 0:
        return
    if standing.followed_ms is None:
        raise ForbiddenError("this room is for followers at the moment", code=ErrorCode.FOLLOWERS_ONLY)
    wait_ms = standing.followed_ms + modes.followers * _MINUTE_MS - now_ms
    if wait_ms > 0:
        raise ForbiddenError(
            f"this room is for those who have followed for {modes.followers} minutes",
            code=ErrorCode.FOLLOWERS_ONLY,
            retry_after_s=wait_ms / 1000,
        )


def check_words(
    modes: Modes, rank: Rank, talk: Talk, user_id: str, text: str, now_ms: int, *, only_emotes: bool
) -> None:
    """ForbiddenError (emote_only), RateLimitedError (slow_mode, not_unique, both with `retry_after_s`).

    VIPs are not slowed down; moderators and the owner may write anything.
    """
    if rank >= Rank.MODERATOR:
        return
    if modes.emote_only and not only_emotes:
        raise ForbiddenError("only emotes can be written at the moment", code=ErrorCode.EMOTE_ONLY)
    if modes.slow and rank < Rank.VIP:
        wait_s = talk.silent_until(user_id, modes.slow, now_ms)
        if wait_s > 0:
            raise RateLimitedError("slow mode is on", code=ErrorCode.SLOW_MODE, retry_after_s=wait_s)
    if modes.unique:
        wait_s = talk.said_until(text, modes.unique, now_ms)
        if wait_s > 0:
            raise RateLimitedError("somebody has just said that", code=ErrorCode.NOT_UNIQUE, retry_after_s=wait_s)
