"""What JetStream is told with an append and what it answers, its refusals as errors of ours."""

from collections.abc import Mapping
from typing import Any

import msgspec

from appliance.contracts.errors import NearcastError, NotFoundError, UnavailableError, WrongSequenceError

_WRONG_LAST_SEQUENCE = (10071, 10070)
_STREAM_FULL = (10077, 10122)
_NOT_FOUND = (10059, 10014)


def append_headers(message_id: str, headers: Mapping[str, str] | None, expect_last: int | None) -> dict[str, str]:
    """Headers of a durable append."""
    sent = {"Nats-Msg-Id": message_id, **(headers or {})}
    if expect_last is not None:
        sent["Nats-Expected-Last-Subject-Sequence"] = str(expect_last)
    return sent


class _Acknowledgement(msgspec.Struct):
    seq: int = 0
    error: dict[str, Any] | None = None


_ACKNOWLEDGEMENT = msgspec.json.Decoder(_Acknowledgement)


def acknowledged_sequence(data: bytes) -> int:
    """The stream sequence in a publish acknowledgement; raises what its error says."""
    try:
        answer = _ACKNOWLEDGEMENT.decode(data)
    except msgspec.DecodeError as error:
        raise UnavailableError("unreadable acknowledgement") from error
    if answer.error is not None:
        raise api_error(answer.error)
    if not answer.seq:
        raise UnavailableError("an acknowledgement without a sequence")
    return answer.seq


def api_error(error: Mapping[str, Any]) -> NearcastError:
    number, text = error.get("err_code", 0), str(error.get("description", "JetStream refused"))
    if number in _WRONG_LAST_SEQUENCE:
        return WrongSequenceError(text)
    if number in _STREAM_FULL:
        return UnavailableError("the log is full", code="log_full")
    if number in _NOT_FOUND:
        return NotFoundError(text)
    return UnavailableError(text)
