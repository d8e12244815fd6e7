"""What a client may ask for (CAP, IRCv3): Twitch's three, and the IRCv3 names of what is the same."""

import enum


class Caps(enum.IntFlag):
    """Capabilities of a client."""

    NONE = 0
    TAGS = 1
    COMMANDS = 2  # lines that only Twitch's clients know
    MEMBERSHIP = 4  # who comes and goes
    TIME = 8  # the tag `time`


CAPABILITIES = {
    "twitch.tv/tags": Caps.TAGS,
    "twitch.tv/commands": Caps.COMMANDS,
    "twitch.tv/membership": Caps.MEMBERSHIP,
    "message-tags": Caps.TAGS,
    "server-time": Caps.TIME,
}


def asked(caps: Caps, names: str) -> Caps | None:
    """What a client has after CAP REQ with these names, one with - in front given up; None: one is unknown."""
    for name in names.split():
        found = CAPABILITIES.get(name.lower().removeprefix("-"))
        if found is None:
            return None
        caps = caps & ~found if name.startswith("-") else caps | found
    return caps
