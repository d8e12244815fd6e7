"""Answers to challenges of ACME (RFC 8555, 8.3), which a client such as certbot or lego leaves in a folder."""

import os
import re
import stat
from pathlib import Path

from edge.origin.responses import Response
from edge.protocols.http.response import Field

PREFIX = "/.well-known/acme-challenge/"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
_MOST = 4096  # bytes of an answer: a token, a dot and a hash
_FIELDS: tuple[Field, ...] = (("Content-Type", "application/octet-stream"), ("Cache-Control", "no-store"))


class Challenges:
    """Reads each answer when it is asked for: they come and go while a certificate is renewed."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` holds the challenges themselves, or the tree of a web server's root."""
        self._folders = [] if folder is None else [folder, folder / PREFIX.strip("/")]

    def find(self, path: str) -> Response | None:
        """The answer for a path; None when it is not about a challenge that is known."""
        if not path.startswith(PREFIX) or not _TOKEN.match(path[len(PREFIX) :]):
            return None
        for folder in self._folders:
            content = _read(folder / path[len(PREFIX) :])
            if content is not None:
                return Response("acme", 200, _FIELDS, (content,))
        return None


def _read(file: Path) -> bytes | None:
    """A small regular file; no link leads out of the folder."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST:
            return None
        return os.read(descriptor, _MOST)
    finally:
        os.close(descriptor)
