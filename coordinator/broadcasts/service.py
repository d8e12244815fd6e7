"""Rules of streams: who may announce one, and what each event of an edge makes of it."""

from collections.abc import Callable
from datetime import timedelta

from appliance.contracts.errors import BadInputError, ForbiddenError, NotFoundError
from appliance.contracts.events import BroadcastEvent, BroadcastEventKind, PublisherReport
from appliance.contracts.ids import is_uuid7
from appliance.runtime.ids import new_id
from coordinator.accounts.models import Caller
from coordinator.accounts.service import Accounts
from coordinator.broadcasts import store
from coordinator.broadcasts.models import (
    STATUS_AFTER,
    BroadcastRow,
    CreatedStream,
    IngestList,
    NewStream,
    PublisherList,
    Status,
)
from coordinator.channels.service import Channels, check_title
from coordinator.endpoints import Endpoints
from coordinator.times import from_ms
from coordinator.unit import Kind, Ref, Unit

_MAX_REPORTS = 100


class Broadcasts:
    """Streams. `now_ms` gives Unix milliseconds; keys made here live `key_days`."""

    def __init__(
        self,
        accounts: Accounts,
        channels: Channels,
        endpoints: Endpoints,
        now_ms: Callable[[], int],
        key_days: int,
    ) -> None:
        self._accounts = accounts
        self._channels = channels
        self._endpoints = endpoints
        self._now_ms = now_ms
        self._key_life = timedelta(days=key_days)

    async def announce(self, unit: Unit, caller: Caller, wanted: NewStream) -> CreatedStream:
        """A stream to come, with a key that opens it. A later one takes its place on the channel.

        BadInputError: the title; ForbiddenError: for somebody else, or suspended; NotFoundError: the user.
        """
        title = wanted.title.strip()
        if not title:
            raise BadInputError("a stream needs a title", code="empty_title")
        check_title(title, wanted.category)
        if not caller.may_act_for(wanted.user_id):
            raise ForbiddenError("a stream is started for oneself")
        owner = await self._accounts.require(unit, wanted.user_id)
        if owner.suspended:
            raise ForbiddenError("this user is suspended from broadcasting", code="suspended")
        channel = await self._channels.of_user(unit, owner)
        if channel.suspended:
            raise ForbiddenError("this channel is suspended from broadcasting", code="suspended")
        stream_id = new_id()
        await store.insert_created(
            unit.connection, stream_id, channel.channel_id, owner.user_id, title, wanted.category
        )
        expires_at = from_ms(self._now_ms()) + self._key_life
        key = await self._channels.add_key(unit, channel.channel_id, stream_id, expires_at)
        unit.changed.update({Ref(Kind.CHANNEL, channel.channel_id), Ref(Kind.STREAM, stream_id)})
        ingest_urls = [ingest.rtmp_url for ingest in self._endpoints.ingests()]
        return CreatedStream(
            stream_id=stream_id,
            stream_key=key,
            ingest_url=ingest_urls[0],
            ingest_urls=ingest_urls,
            playback_url=self._endpoints.playback(channel.name)[0],
            chat_url=self._endpoints.chat(stream_id),
        )

    async def require(self, unit: Unit, stream_id: str) -> BroadcastRow:
        """The broadcast with this id. NotFoundError, for what is not an id as well."""
        row = await store.broadcast_by_id(unit.connection, stream_id) if is_uuid7(stream_id) else None
        if row is None:
            raise NotFoundError("there is no such stream", code="stream_not_found")
        return row

    def ingests(self) -> IngestList:
        """Where encoders may publish."""
        return IngestList(ingests=self._endpoints.ingests())

    async def apply(self, unit: Unit, event: BroadcastEvent) -> None:
        """One step told by an edge. BadInputError: it names what does not exist, and never will."""
        if not (is_uuid7(event.broadcast_id) and is_uuid7(event.channel_id)):
            raise BadInputError("the event names no stream or channel", code="event_ids")
        status = STATUS_AFTER[event.kind]
        known = await store.upsert_status(
            unit.connection,
            event.broadcast_id,
            event.channel_id,
            event.edge_id,
            status,
            from_ms(event.at_ms),
        )
        if not known:
            raise BadInputError("the event's channel is unknown or not the stream's", code="event_channel")
        unit.changed.add(Ref(Kind.STREAM, event.broadcast_id))
        if event.kind in (BroadcastEventKind.STARTED, BroadcastEventKind.ENDED) and (
            await store.clear_announced(unit.connection, event.broadcast_id, event.channel_id)
        ):
            unit.changed.add(Ref(Kind.CHANNEL, event.channel_id))
        if status is Status.ENDED:
            await self._channels.unbind_keys(unit, event.broadcast_id)

    async def record(self, unit: Unit, report: PublisherReport) -> None:
        """Keeps how a publisher fared. BadInputError: it names what does not exist, and never will."""
        session = report.session
        if not all(is_uuid7(one) for one in (session.session_id, session.broadcast_id, session.channel_id)):
            raise BadInputError("the report names no session, stream or channel", code="event_ids")
        if not await store.insert_report(unit.connection, report, from_ms(session.ended_at_ms)):
            raise BadInputError("the report's channel is unknown", code="event_channel")

    async def publishers(self, unit: Unit, caller: Caller, stream_id: str) -> PublisherList:
        """How the publishers of a stream fared, for its owner. NotFoundError, ForbiddenError."""
        row = await self.require(unit, stream_id)
        if not caller.may_act_for(row.user_id):
            raise ForbiddenError("that is somebody else's stream")
        return PublisherList(
            publishers=await store.reports_of(unit.connection, row.stream_id, row.channel_id, _MAX_REPORTS)
        )
