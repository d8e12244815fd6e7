"""Rules of playback."""

from appliance.contracts.directory import Access
from appliance.contracts.errors import GoneError, UnauthenticatedError
from coordinator.accounts.models import Caller
from coordinator.broadcasts.models import Status
from coordinator.broadcasts.service import Broadcasts
from coordinator.channels.models import ChannelRow
from coordinator.channels.service import Channels
from coordinator.endpoints import Endpoints
from coordinator.entitlements.service import Entitlements
from coordinator.grants.models import IssuedGrant
from coordinator.grants.service import Grants
from coordinator.playback.models import Playback
from coordinator.unit import Unit


class PlaybackService:
    """Answers where to fetch a stream, and grants what is not for everybody to those who are entitled."""

    def __init__(
        self,
        broadcasts: Broadcasts,
        channels: Channels,
        endpoints: Endpoints,
        entitlements: Entitlements,
        grants: Grants,
    ) -> None:
        self._broadcasts = broadcasts
        self._channels = channels
        self._endpoints = endpoints
        self._entitlements = entitlements
        self._grants = grants

    async def find(self, unit: Unit, caller: Caller | None, stream_id: str, life_s: int) -> Playback:
        """URLs, before it is live as well. NotFoundError: never was; GoneError: over and no VOD.

        Of a channel that is not for everybody UnauthenticatedError, ForbiddenError; BadInputError: `life_s`.
        """
        row = await self._broadcasts.require(unit, stream_id)
        if row.status == Status.ENDED and row.vod_url is None:
            raise GoneError("the stream has ended and its recording is not ready", code="stream_ended")
        issued = await self._issue(unit, caller, await self._channels.require(unit, row.channel), life_s)
        grant = issued.grant or ""
        if row.status == Status.ENDED and row.vod_url is not None:
            urls, status = [row.vod_url], "vod"
        else:
            urls, status = self._endpoints.playback(row.channel, row.edge_id, grant), row.status
        found = Playback(
            stream_id=row.stream_id,
            status=status,
            playback_url=urls[0],
            playback_urls=urls,
            chat_url=self._endpoints.chat(row.stream_id, row.edge_id),
            thumbnail_url=self._endpoints.thumbnail(row.channel, row.edge_id, grant),
        )
        return found if issued.grant is None else _with_grant(found, issued)

    async def grant(self, unit: Unit, caller: Caller, name: str, life_s: int) -> IssuedGrant:
        """A grant for a channel, live or not. BadInputError, ForbiddenError, NotFoundError."""
        return await self._issue(unit, caller, await self._channels.require(unit, name), life_s)

    async def _issue(self, unit: Unit, caller: Caller | None, channel: ChannelRow, life_s: int) -> IssuedGrant:
        if channel.access == Access.PUBLIC:
            return IssuedGrant(grant=None)
        if caller is None:
            raise UnauthenticatedError("this channel is not for everybody: log in", code="login_required")
        until = await self._entitlements.check(unit, caller, channel)
        return await self._grants.issue(unit, caller.user_id, channel.channel_id, life_s, until)


def _with_grant(found: Playback, issued: IssuedGrant) -> Playback:
    fields = {name: getattr(found, name) for name in found.__struct_fields__}
    fields |= {"grant": issued.grant, "expires_at": issued.expires_at, "renew_until": issued.renew_until}
    return Playback(**fields)
