"""Rules of channels and stream keys."""

from collections.abc import Callable
from datetime import datetime

from appliance.contracts.directory import CHANNEL_NAME, Access, Profile, secret_hash
from appliance.contracts.errors import BadInputError, ConflictError, ForbiddenError, NotFoundError
from appliance.runtime.ids import new_id, new_secret
from coordinator.accounts.models import Caller, NewToken, UserRow
from coordinator.accounts.service import Accounts
from coordinator.channels import store
from coordinator.channels.models import (
    KEY_PREFIX,
    MAX_CATEGORY,
    MAX_TITLE,
    ChangedChannel,
    ChannelList,
    ChannelQuery,
    ChannelRow,
    ChannelView,
    CreatedChannel,
    NewChannel,
    RotatedKey,
)
from coordinator.endpoints import Endpoints
from coordinator.times import from_ms
from coordinator.unit import Kind, Ref, Unit

_MAX_PAGE = 200
_OPENNESS = {Access.PUBLIC: 2, Access.FOLLOWERS: 1, Access.SUBSCRIBERS: 0}


def check_title(title: str, category: str) -> None:
    """BadInputError when one of them is too long or carries control characters."""
    if len(title) > MAX_TITLE or len(category) > MAX_CATEGORY:
        raise BadInputError(
            f"a title has at most {MAX_TITLE} characters, a category {MAX_CATEGORY}", code="too_long"
        )
    if any(ord(character) < 32 for character in title + category):
        raise BadInputError("a title or category has no control characters", code="control_characters")


class Channels:
    """Channels and their keys. `now_ms` gives Unix milliseconds."""

    def __init__(self, accounts: Accounts, endpoints: Endpoints, now_ms: Callable[[], int]) -> None:
        self._accounts = accounts
        self._endpoints = endpoints
        self._now_ms = now_ms

    async def create(self, unit: Unit, caller: Caller, wanted: NewChannel) -> CreatedChannel:
        """A channel, its first key and a token of its owner.

        BadInputError: not a name; ForbiddenError: for somebody else; ConflictError: name taken, or the owner
        has a channel.
        """
        check_title(wanted.title, "")
        owner = await self._owner(unit, caller, wanted)
        channel = await self.add(unit, owner, wanted.name, wanted.title)
        key = await self.add_key(unit, channel.channel_id)
        token = await self._accounts.issue(unit, owner.user_id, NewToken())
        return CreatedChannel(
            channel=channel.name,
            channel_id=channel.channel_id,
            user_id=owner.user_id,
            stream_key=key,
            token=token.token,
            rtmp_url=self._endpoints.ingests()[0].rtmp_url,
        )

    async def _owner(self, unit: Unit, caller: Caller, wanted: NewChannel) -> UserRow:
        if wanted.user_id:
            if not caller.may_act_for(wanted.user_id):
                raise ForbiddenError("a channel is made for oneself")
            return await self._accounts.require(unit, wanted.user_id)
        if caller.is_operator:
            self._check_name(wanted.name)
            return await self._accounts.find_or_add(unit, wanted.username or wanted.name)
        if wanted.username.lower() not in ("", caller.username.lower()):
            raise ForbiddenError("a channel is made for oneself")
        return await self._accounts.require(unit, caller.user_id)

    @staticmethod
    def _check_name(name: str) -> None:
        if CHANNEL_NAME.match(name) is None:
            raise BadInputError(
                "a channel name has 1 to 30 of a-z, 0-9, - and _, and starts and ends with a letter or digit",
                code="invalid_channel_name",
            )

    async def add(self, unit: Unit, owner: UserRow, name: str, title: str = "") -> ChannelRow:
        """A channel without a key. Errors as `create`."""
        self._check_name(name)
        if await store.name_of_user(unit.connection, owner.user_id) is not None:
            raise ConflictError("this user has a channel", code="user_has_channel")
        if await store.channel_by_name(unit.connection, name) is not None:
            raise ConflictError("that channel name is taken", code="channel_taken")
        channel_id = new_id()
        await store.insert_channel(unit.connection, channel_id, name, owner.user_id, title)
        unit.changed.add(Ref(Kind.CHANNEL, channel_id))
        return await self.require(unit, name)

    async def of_user(self, unit: Unit, owner: UserRow) -> ChannelRow:
        """The user's channel, made from the username when there is none."""
        name = await store.name_of_user(unit.connection, owner.user_id)
        if name is None:
            return await self.add(unit, owner, owner.username.lower())
        return await self.require(unit, name)

    async def require(self, unit: Unit, name: str) -> ChannelRow:
        """The channel of that name. NotFoundError."""
        channel = None
        if CHANNEL_NAME.match(name) is not None:
            channel = await store.channel_by_name(unit.connection, name)
        if channel is None:
            raise NotFoundError("there is no such channel", code="channel_not_found")
        return channel

    async def add_key(
        self, unit: Unit, channel_id: str, stream_id: str | None = None, expires_at: datetime | None = None
    ) -> str:
        """A new stream key, in clear for the one answer that shows it."""
        key_id, key = new_id(), new_secret(KEY_PREFIX)
        await store.insert_key(unit.connection, key_id, secret_hash(key), channel_id, stream_id, expires_at)
        unit.changed.add(Ref(Kind.KEY, key_id))
        return key

    async def unbind_keys(self, unit: Unit, stream_id: str) -> None:
        """A stream is over: its keys open the next broadcast of the channel, not this one again."""
        for key_id in await store.unbind_keys(unit.connection, stream_id):
            unit.changed.add(Ref(Kind.KEY, key_id))

    async def rotate_key(self, unit: Unit, caller: Caller, name: str) -> RotatedKey:
        """A new key; every older one is revoked. ForbiddenError, NotFoundError."""
        channel = await self.own(unit, caller, name)
        for key_id in await store.revoke_keys(unit.connection, channel.channel_id):
            unit.changed.add(Ref(Kind.KEY, key_id))
        return RotatedKey(
            channel=channel.name,
            user_id=channel.user_id,
            stream_key=await self.add_key(unit, channel.channel_id),
            rtmp_url=self._endpoints.ingests()[0].rtmp_url,
        )

    async def change(self, unit: Unit, caller: Caller, name: str, wanted: ChangedChannel) -> ChannelView:
        """Title, category, profile, access, and for operators whether it may broadcast and is a partner's.

        ForbiddenError, NotFoundError.
        """
        check_title(wanted.title or "", wanted.category or "")
        channel = await self.own(unit, caller, name)
        if (wanted.suspended, wanted.partner) != (None, None) and not caller.is_operator:
            raise ForbiddenError("only an operator suspends a channel or makes it a partner's")
        await store.update_channel(unit.connection, channel.channel_id, wanted)
        if wanted.access is not None and _OPENNESS[wanted.access] < _OPENNESS[Access(channel.access)]:
            await store.void_grants(unit.connection, channel.channel_id, from_ms(self._now_ms()))
        if wanted.partner is not None:
            await store.set_partner(unit.connection, channel.user_id, wanted.partner)
        unit.changed.add(Ref(Kind.CHANNEL, channel.channel_id))
        return self.view(await self.require(unit, name))

    async def own(self, unit: Unit, caller: Caller, name: str) -> ChannelRow:
        """The channel, for its owner and operators. ForbiddenError, NotFoundError."""
        channel = await self.require(unit, name)
        if not caller.may_act_for(channel.user_id):
            raise ForbiddenError("that is somebody else's channel")
        return channel

    async def page(self, unit: Unit, query: ChannelQuery) -> ChannelList:
        """Channels by name. BadInputError for a limit outside 1 to 200."""
        if not 1 <= query.limit <= _MAX_PAGE:
            raise BadInputError(f"limit is 1 to {_MAX_PAGE}", code="invalid_limit")
        rows = await store.list_channels(unit.connection, query.after, query.limit + 1, live=query.live)
        page = rows[: query.limit]
        more = page[-1].name if len(rows) > query.limit else None
        return ChannelList(channels=[self.view(row) for row in page], next=more)

    def view(self, row: ChannelRow) -> ChannelView:
        """What everybody may see of a channel."""
        return ChannelView(
            channel=row.name,
            channel_id=row.channel_id,
            user_id=row.user_id,
            username=row.username,
            title=row.title,
            category=row.category,
            live=row.stream_id is not None,
            playback_url=self._endpoints.playback(row.name)[0],
            partner=row.partner,
            profile=Profile(row.profile),
            access=Access(row.access),
            stream_id=row.stream_id,
            started_at=row.started_at,
        )
