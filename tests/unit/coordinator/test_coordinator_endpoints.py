import pytest

from coordinator.config import EdgeEndpoint
from coordinator.endpoints import Endpoints


def edge(name: str) -> EdgeEndpoint:
    return EdgeEndpoint(
        edge_id=name, http_base=f"http://{name}", rtmp_base=f"rtmp://{name}", ws_base=f"ws://{name}"
    )


def test_edge_of_the_stream_comes_first():
    endpoints = Endpoints([edge("a"), edge("b"), edge("c")])
    assert endpoints.playback("ada", "b") == [f"http://{name}/live/ada/index.m3u8" for name in "bac"]
    assert endpoints.home("c") == "c"
    assert endpoints.chat("s1", "b") == "ws://b/streams/s1/chat/subscribe"


def test_unknown_edge_falls_back_to_the_first():
    endpoints = Endpoints([edge("a"), edge("b")])
    assert endpoints.home("gone") == "a"
    assert endpoints.thumbnail("ada") == "http://a/thumb/ada.jpg"


def test_no_edges_is_a_mistake():
    with pytest.raises(ValueError, match="at least one"):
        Endpoints([])
