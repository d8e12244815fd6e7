"""Which requests are served with their body: everything else has none that matters, or is handed on with it."""

from edge.protocols.http.request import RequestHead

BEACON_PATH = "/beacon"
MAX_BODY = 4 * 1024  # larger ones are refused before they are read


def awaits_body(request: RequestHead, there: int) -> bool:
    """Whether a request must wait for its body; `there` bytes have come after its head."""
    length = request.headers.body_length
    return request.path == BEACON_PATH and request.method == "POST" and there < length <= MAX_BODY
