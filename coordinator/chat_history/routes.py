"""HTTP face of chat at the centre."""

from coordinator.accounts.models import Scope
from coordinator.api.route import Call, Reply, Route
from coordinator.chat_history.models import History, HistoryQuery, NewMessage, PostedMessage, RoomHistory
from coordinator.chat_history.service import ChatHistory


def routes(chat: ChatHistory) -> list[Route]:
    """POST and GET of a stream's chat, GET of a room's, and the way to the live room."""

    async def post(call: Call) -> Reply:
        return Reply(201, await chat.post(call.caller, call.path["stream_id"], call.body, call.idempotency_key))

    async def subscribe(call: Call) -> Reply:
        url = await chat.subscribe_url(call.unit, call.path["stream_id"])
        query = f"?{call.query_string}" if call.query_string else ""
        return Reply(307, headers={"Location": url + query})

    return [
        Route(
            "POST",
            "/streams/{stream_id}/chat",
            post,
            "Post a chat message",
            status=201,
            body=NewMessage,
            answer=PostedMessage,
            scope=Scope.CHAT,
            refusals=(404, 503),
            bare=True,
            in_unit=False,
        ),
        *_reading(chat),
        Route(
            "GET",
            "/streams/{stream_id}/chat/subscribe",
            subscribe,
            "Redirects to the WebSocket of the room on its edge",
            status=307,
            refusals=(404,),
            bare=True,
        ),
    ]


def _reading(chat: ChatHistory) -> list[Route]:
    async def history(call: Call) -> Reply:
        return Reply(200, await chat.page(call.path["stream_id"], call.query))

    async def of_room(call: Call) -> Reply:
        return Reply(200, await chat.room_page(call.path["name"], call.query))

    return [
        Route(
            "GET",
            "/streams/{stream_id}/chat",
            history,
            "Chat history of a stream",
            query=HistoryQuery,
            answer=History,
            refusals=(404, 503),
            bare=True,
            in_unit=False,
        ),
        Route(
            "GET",
            "/channels/{name}/chat",
            of_room,
            "Chat history of a channel's room, on the air or not",
            query=HistoryQuery,
            answer=RoomHistory,
            refusals=(404, 503),
            in_unit=False,
        ),
    ]
