"""Where a grant stands in a path: `/g/GRANT/` before what it is for."""

PREFIX = "/g/"


def split(path: str) -> tuple[str, str]:
    """The grant before a path, "" when there is none, and the path without it."""
    if not path.startswith(PREFIX):
        return "", path
    grant, slash, rest = path[len(PREFIX) :].partition("/")
    return grant, slash + rest
