"""Conditional requests (RFC 9110, 13): whether what a client has is what it would be sent."""

import email.utils


def is_unchanged(etag: str, modified_s: int, if_none_match: str, if_modified_since: str) -> bool:
    """Whether a GET is to be answered by 304. The conditions are field values, empty when absent.

    `etag` is a strong entity tag in its quotes, `modified_s` Unix seconds. If-None-Match compares weakly and
    outranks If-Modified-Since, which is ignored when it is no date (13.1.2, 13.1.3).
    """
    if if_none_match:
        tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
        return "*" in tags or etag in tags
    if not if_modified_since:
        return False
    try:
        since = email.utils.parsedate_to_datetime(if_modified_since).timestamp()
    except (ValueError, OverflowError):
        return False
    return modified_s <= since


def http_date(at_s: int) -> str:
    """A date as HTTP writes it (RFC 9110, 5.6.7)."""
    return email.utils.formatdate(at_s, usegmt=True)
