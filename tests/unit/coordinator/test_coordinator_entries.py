import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contracts import subjects
from appliance.contracts.chat import ChatMessage
from appliance.contracts.errors import BadInputError
from appliance.contracts.events import BroadcastEvent, BroadcastEventKind
from appliance.contracts.ids import uuid7
from coordinator.bridge.entries import decode

ROOM = uuid7(1, b"0123456789")
STREAM = uuid7(2, b"0123456789")
CHAT = subjects.chat(ROOM, "lyon")
EVENT = subjects.event("lyon", "broadcast")


@given(
    st.sampled_from([CHAT, EVENT, "chat.x", "", "fed.lyon.ev.other"]) | st.text("chat.fedlyonv*>", max_size=30),
    st.binary(max_size=200),
)
def test_anything_is_an_entry_or_bad_input(subject, data):
    try:
        entry = decode("lyon", subject, data)
    except BadInputError:
        return
    assert entry.event is None or entry.messages == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=3),
    max_leaves=4,
)
fields = st.fixed_dictionaries(
    {"message_id": st.just(STREAM) | st.text(max_size=40), "timestamp": st.integers()},
    optional=dict.fromkeys(("stream_id", "user_id", "username", "message", "badges", "x"), json_values),
)


@settings(max_examples=50)
@given(st.lists(fields, max_size=2))
def test_any_json_is_an_entry_or_bad_input(messages):
    try:
        decode("lyon", CHAT, msgspec.json.encode(messages))
    except BadInputError:
        return


def test_messages_become_rows_of_the_room():
    message = ChatMessage(
        message_id=STREAM, stream_id="", timestamp=1500, user_id="u", username="n", message="hi", badges=["b"]
    )
    [row] = decode("lyon", CHAT, msgspec.json.encode([message])).messages
    assert (row.channel_id, row.stream_id, row.body, row.badges) == (ROOM, None, "hi", ["b"])
    assert row.sent_at.timestamp() == 1.5


def test_event_of_another_edge_is_refused():
    event = BroadcastEvent(
        event_id="e",
        kind=BroadcastEventKind.ENDED,
        broadcast_id=STREAM,
        channel_id=ROOM,
        edge_id="oslo",
        at_ms=1,
    )
    with pytest.raises(BadInputError) as refused:
        decode("lyon", EVENT, msgspec.json.encode(event))
    assert refused.value.code == "foreign"
