"""Why a connection or a stream of HTTP/2 ends (RFC 9113, 7)."""

import enum

from appliance.contracts.errors import BadInputError


class ErrorCode(enum.IntEnum):
    """Codes of RST_STREAM and GOAWAY."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    ENHANCE_YOUR_CALM = 0xB


class Http2Error(BadInputError):
    """The connection is over: GOAWAY with `reason`."""

    code = "http2"

    def __init__(self, reason: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class StreamError(BadInputError):
    """One stream is over: RST_STREAM with `reason`."""

    code = "http2_stream"

    def __init__(self, reason: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
