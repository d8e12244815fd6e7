import pytest

from appliance.contracts.errors import (
    BadInputError,
    NearcastError,
    RateLimitedError,
    UnauthenticatedError,
)
from coordinator.api import idempotency, problems
from coordinator.api.dispatch import bearer


@pytest.mark.parametrize("value", ["Bearer abc", "bearer abc", "BEARER  abc "])
def test_bearer_token(value):
    assert bearer({"authorization": value}) == "abc"


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic abc", "Bearer " + "x" * 513])
def test_no_bearer_token(value):
    with pytest.raises(UnauthenticatedError):
        bearer({"authorization": value})


@pytest.mark.parametrize("key", ["", "a b", "a\n", "é", "x" * 256])
def test_odd_idempotency_key_is_refused(key):
    with pytest.raises(BadInputError):
        idempotency.attempt("t", "token", key, "POST", "/x", b"")


def test_attempt_knows_a_different_request_and_a_different_token():
    first = idempotency.attempt("t", "token", "k", "POST", "/x", b"1")
    other = idempotency.attempt("t", "token", "k", "POST", "/x", b"2")
    assert first.request_hash != other.request_hash
    sealed = first.box().encrypt(b"secret")
    assert other.box().decrypt(sealed) == b"secret"
    stranger = idempotency.attempt("t", "stolen", "k", "POST", "/x", b"1")
    with pytest.raises(Exception, match="failed"):
        stranger.box().decrypt(sealed)


def test_status_500_tells_nothing():
    document = problems.problem_of(NearcastError("relation users", code="database"), "r1")
    assert (document.code, document.instance) == ("internal", "urn:uuid:r1")
    assert "users" not in document.detail


def test_headers_of_refusals():
    assert problems.headers_of(RateLimitedError(retry_after_s=0.2)) == {"Retry-After": "1"}
    assert problems.headers_of(RateLimitedError(retry_after_s=2.01)) == {"Retry-After": "3"}
    assert "WWW-Authenticate" in problems.headers_of(UnauthenticatedError())
