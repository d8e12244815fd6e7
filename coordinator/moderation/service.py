"""Rules of moderation at the centre: what an event changes, who may look, which edge is asked."""

from http import HTTPStatus

import msgspec

from appliance.contracts import subjects
from appliance.contracts.errors import BadInputError, ForbiddenError, NearcastError, UnavailableError
from appliance.contracts.ids import is_uuid7
from appliance.contracts.moderation import (
    CROSSING,
    EVERY_ROOM,
    ModerationAnswer,
    ModerationRequest,
    Role,
    RoomEvent,
)
from appliance.contracts.room_state import (
    OF_MEMBERS,
    OF_ROOMS,
    apply_to_member,
    apply_to_room,
    effective,
    kept_terms,
    modes_of,
)
from coordinator.accounts.models import Caller
from coordinator.broadcasts.service import Broadcasts
from coordinator.channels.models import ChannelRow
from coordinator.channels.service import Channels
from coordinator.endpoints import Endpoints
from coordinator.moderation import store
from coordinator.moderation.models import Audit, AuditQuery, DoneAction, NewAction, RoomView, TermView
from coordinator.ports import Hub
from coordinator.unit import Kind, Ref, Unit, Units

_MAX_PAGE = 200
_MAX_MEMBERS = 1000


class EdgeRefusedError(NearcastError):
    """The edge's chat service refused an action; status and code are its own."""

    def __init__(self, answer: ModerationAnswer) -> None:
        super().__init__(answer.detail, code=answer.code, retry_after_s=answer.retry_after_s or None)
        self.status = answer.status


class Moderations:
    """`act` opens its own units: none is held while an edge is asked."""

    def __init__(
        self,
        units: Units,
        channels: Channels,
        broadcasts: Broadcasts,
        endpoints: Endpoints,
        hub: Hub,
        timeout_s: float,
    ) -> None:
        self._units = units
        self._channels = channels
        self._broadcasts = broadcasts
        self._endpoints = endpoints
        self._hub = hub
        self._timeout_s = timeout_s

    # -- events of edges

    async def apply(self, unit: Unit, event: RoomEvent) -> None:
        """Stores an event, once, and what it changes in the room's state; messages are the history's."""
        if not await store.insert_event(unit.connection, event):
            return
        if event.event in CROSSING:
            unit.changed.add(Ref(Kind.HAPPENING, event.event_id))
        if event.event in OF_MEMBERS:
            await self._apply_to_member(unit, event)
        elif event.event in OF_ROOMS:
            record = await store.lock_room(unit.connection, event.room)
            if apply_to_room(record, event):
                await store.save_room(unit.connection, record)
                unit.changed.add(Ref(Kind.ROOM, event.room))

    async def _apply_to_member(self, unit: Unit, event: RoomEvent) -> None:
        record = await store.lock_member(unit.connection, event.room, event.target_id)
        if apply_to_member(record, event):
            unit.changed.add(Ref(Kind.MEMBER, await store.save_member(unit.connection, record)))

    # -- the API

    async def act(self, caller: Caller, channel: str, wanted: NewAction, key: str = "") -> DoneAction:
        """Has an edge do it; durable there when this returns. An empty channel: in every room, by operators.

        `key` is its nonce: when no answer comes nobody knows whether the edge did it.

        NotFoundError: the channel; EdgeRefusedError; UnavailableError: the edge does not answer.
        """
        channel_id, edge_id = EVERY_ROOM, ""
        if channel:
            async with self._units.open() as unit:
                row = await self._channels.require(unit, channel)
                if row.stream_id is not None:
                    edge_id = (await self._broadcasts.require(unit, row.stream_id)).edge_id
            channel_id = row.channel_id
        request = ModerationRequest(
            **msgspec.structs.asdict(wanted),
            channel_id=channel_id,
            actor_id=caller.user_id,
            actor=caller.username,
            operator=caller.is_operator,
            nonce=key,
        )
        return await self._ask(self._endpoints.home(edge_id), request)

    async def _ask(self, edge_id: str, request: ModerationRequest) -> DoneAction:
        try:
            data = await self._hub.request(
                subjects.chat_moderate(edge_id), msgspec.json.encode(request), timeout_s=self._timeout_s
            )
            answer = msgspec.json.decode(data, type=ModerationAnswer)
        except UnavailableError as error:
            raise UnavailableError("the edge of this room does not answer", retry_after_s=2) from error
        except msgspec.MsgspecError as error:
            raise UnavailableError("the edge gave an answer that cannot be read") from error
        if not answer.code and answer.event_id:
            return DoneAction(event_id=answer.event_id, timestamp=answer.timestamp)
        if HTTPStatus.BAD_REQUEST <= answer.status <= HTTPStatus.SERVICE_UNAVAILABLE and answer.code:
            raise EdgeRefusedError(answer)
        raise UnavailableError("the edge could not do it", retry_after_s=2)

    async def audit(self, unit: Unit, caller: Caller, channel: str, query: AuditQuery) -> Audit:
        """What was done in a room. BadInputError: the query; ForbiddenError: not for moderators of it."""
        if not 1 <= query.limit <= _MAX_PAGE:
            raise BadInputError(f"limit is 1 to {_MAX_PAGE}", code="invalid_limit")
        if query.before and not is_uuid7(query.before):
            raise BadInputError("before is an event's id", code="invalid_position")
        row = await self._moderated(unit, caller, channel)
        found = await store.events(unit.connection, row.channel_id, query.before, query.target, query.limit + 1)
        return Audit(channel=row.name, events=found[: query.limit], more=len(found) > query.limit)

    async def room(self, unit: Unit, caller: Caller, channel: str) -> RoomView:
        """What holds in a room. ForbiddenError: not for moderators of it."""
        row = await self._moderated(unit, caller, channel)
        record = await store.room(unit.connection, row.channel_id)
        return RoomView(
            channel=row.name,
            modes=effective(modes_of(record)),
            pin=record.pin,
            terms=[TermView(kind=kind, text=text) for kind, text in kept_terms(record)],
            members=await store.members(unit.connection, row.channel_id, _MAX_MEMBERS),
        )

    async def _moderated(self, unit: Unit, caller: Caller, channel: str) -> ChannelRow:
        row = await self._channels.require(unit, channel)
        if not caller.may_act_for(row.user_id):
            member = await store.member(unit.connection, row.channel_id, caller.user_id)
            if member.role is not Role.MODERATOR:
                raise ForbiddenError("that is for the moderators of this room", code="not_allowed")
        return row
