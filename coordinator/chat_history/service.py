"""Rules of chat at the centre: reading the history, posting for a user through the stream's edge."""

import unicodedata
from http import HTTPStatus

import msgspec

from appliance.contracts import subjects
from appliance.contracts.chat import MAX_CHARACTERS, ChatMessage, ChatPost, ChatPosted, Emote, ErrorCode, Parent
from appliance.contracts.errors import BadInputError, ForbiddenError, NearcastError, UnavailableError
from appliance.contracts.ids import is_uuid7, uuid7
from coordinator.accounts.models import Caller
from coordinator.accounts.service import Accounts
from coordinator.broadcasts.service import Broadcasts
from coordinator.channels.service import Channels
from coordinator.chat_history.models import (
    History,
    HistoryQuery,
    MessageRow,
    NewMessage,
    Page,
    PostedMessage,
    RoomHistory,
)
from coordinator.chat_history.ports import ChatStore
from coordinator.endpoints import Endpoints
from coordinator.ports import Hub
from coordinator.times import from_ms, to_ms
from coordinator.unit import Unit, Units

_MAX_PAGE = 500
_BROADCASTER = "broadcaster"


class EdgeRefusalError(NearcastError):
    """The edge's chat service refused a message; status and code are its own."""

    def __init__(self, posted: ChatPosted) -> None:
        super().__init__(posted.detail, code=posted.code, retry_after_s=posted.retry_after_s or None)
        self.status = posted.status


class ChatHistory:
    """History and posting. Both open their own units: none is held while an edge or the store is asked."""

    def __init__(
        self,
        units: Units,
        store: ChatStore,
        accounts: Accounts,
        channels: Channels,
        broadcasts: Broadcasts,
        endpoints: Endpoints,
        hub: Hub,
        timeout_s: float,
    ) -> None:
        self._units = units
        self._store = store
        self._accounts = accounts
        self._channels = channels
        self._broadcasts = broadcasts
        self._endpoints = endpoints
        self._hub = hub
        self._timeout_s = timeout_s

    async def post(self, caller: Caller, stream_id: str, wanted: NewMessage, key: str) -> PostedMessage:
        """Has the stream's edge accept a message of a user; durable there when this returns.

        `key` is its nonce where it has none: when no answer comes nobody knows whether the edge took it.

        BadInputError: empty or too long; ForbiddenError: for somebody else; NotFoundError; EdgeRefusalError;
        UnavailableError: the edge does not answer.
        """
        _check_text(wanted.message)
        if not caller.may_act_for(wanted.user_id):
            raise ForbiddenError("a message is written in one's own name")
        async with self._units.open() as unit:
            stream = await self._broadcasts.require(unit, stream_id)
            user = await self._accounts.require(unit, wanted.user_id)
        badges = [_BROADCASTER] if user.user_id == stream.user_id else []
        post = ChatPost(
            user_id=user.user_id,
            message=wanted.message,
            nonce=wanted.nonce or key,
            stream_id=stream_id,
            username=user.username,
            badges=[*badges, *user.badges],
        )
        return await self._ask(self._endpoints.home(stream.edge_id), post)

    async def _ask(self, edge_id: str, post: ChatPost) -> PostedMessage:
        try:
            answer = await self._hub.request(
                subjects.chat_post(edge_id), msgspec.json.encode(post), timeout_s=self._timeout_s
            )
            posted = msgspec.json.decode(answer, type=ChatPosted)
        except UnavailableError as error:
            raise UnavailableError("the edge of this stream does not answer", retry_after_s=2) from error
        except msgspec.DecodeError as error:
            raise UnavailableError("the edge gave an answer that cannot be read") from error
        if not posted.code and posted.message_id:
            return PostedMessage(message_id=posted.message_id, timestamp=posted.timestamp, held=posted.held)
        if HTTPStatus.BAD_REQUEST <= posted.status <= HTTPStatus.SERVICE_UNAVAILABLE and posted.code:
            raise EdgeRefusalError(posted)
        raise UnavailableError("the edge could not take the message", retry_after_s=2)

    async def subscribe_url(self, unit: Unit, stream_id: str) -> str:
        """WebSocket URL of the stream's room. NotFoundError."""
        stream = await self._broadcasts.require(unit, stream_id)
        return self._endpoints.chat(stream_id, stream.edge_id)

    async def page(self, stream_id: str, query: HistoryQuery) -> History:
        """Messages of a stream. BadInputError: a limit outside 1 to 500, or a position that is none;
        UnavailableError: the store is away or slow.
        """
        _check_query(query)
        async with self._units.open() as unit:
            stream = await self._broadcasts.require(unit, stream_id)
        page = await self._page(stream.channel_id, stream_id, query)
        return History(stream_id=stream_id, messages=[_message(row) for row in page.rows], more=page.more)

    async def room_page(self, name: str, query: HistoryQuery) -> RoomHistory:
        """Messages of a channel's room, of all its streams and between them. Errors as of `page`; NotFoundError."""
        _check_query(query)
        async with self._units.open() as unit:
            channel = await self._channels.require(unit, name)
        page = await self._page(channel.channel_id, "", query)
        return RoomHistory(channel=channel.name, messages=[_message(row) for row in page.rows], more=page.more)

    async def _page(self, channel_id: str, stream_id: str, query: HistoryQuery) -> Page:
        before, after = _bound(query.before, last=False), _bound(query.after, last=True)
        if after:
            return await self._store.after(channel_id, stream_id, after, before, query.limit)
        return await self._store.before(channel_id, stream_id, before, query.limit)


def _check_query(query: HistoryQuery) -> None:
    if not 1 <= query.limit <= _MAX_PAGE:
        raise BadInputError(f"limit is 1 to {_MAX_PAGE}", code="invalid_limit")
    _bound(query.before, last=False)
    _bound(query.after, last=True)


def _check_text(text: str) -> None:
    if not text.strip():
        raise BadInputError("a message needs text", code=ErrorCode.EMPTY)
    if len(unicodedata.normalize("NFC", text)) > MAX_CHARACTERS:
        raise BadInputError(f"a message has at most {MAX_CHARACTERS} characters", code=ErrorCode.TOO_LONG)


def _bound(text: str, *, last: bool) -> str:
    """The message id that bounds a page: an id as it is, milliseconds as that moment's first or last id."""
    if not text:
        return ""
    if is_uuid7(text):
        return text
    if text.isascii() and text.isdigit() and len(text) < 16:
        moment = int(text)
        from_ms(moment)
        return uuid7(moment, b"\xff" * 10 if last else b"\x00" * 10)
    raise BadInputError("before and after are a message id or Unix milliseconds", code="invalid_position")


def _message(row: MessageRow) -> ChatMessage:
    return ChatMessage(
        message_id=row.message_id,
        stream_id=row.stream_id or "",
        timestamp=to_ms(row.sent_at),
        user_id=row.user_id,
        username=row.username,
        message=row.body,
        badges=row.badges,
        emotes=msgspec.convert(row.emotes, list[Emote]),
        reply_to=msgspec.UNSET if row.reply_to is None else row.reply_to,
        parent=msgspec.UNSET if row.parent is None else msgspec.convert(row.parent, Parent),
        mentions=row.mentions or msgspec.UNSET,
    )
