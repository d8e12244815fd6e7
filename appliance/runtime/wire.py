"""What an appender and its server say to each other, as bytes: appends, and their acknowledgements in an inbox.

Source: the NATS client protocol (HPUB, MSG) and the JetStream acknowledgement (ADR-1 of
nats-architecture-and-design). Pure functions, so that they can be compiled.
"""

from collections.abc import Mapping
from typing import Final

_HPUB_SPACES: Final = 4


def append_command(
    subject: str, reply: str, message_id: str, headers: Mapping[str, str], expect_last: int | None, size: int
) -> bytes | None:
    """HPUB up to the body of `size` bytes, behind which a line end belongs.

    None when a word has a white space, or a header a line end or what is not ASCII.
    """
    block = f"NATS/1.0\r\nNats-Msg-Id: {message_id}\r\n"
    lines = 4 + len(headers)
    for name, value in headers.items():
        block += f"{name}: {value}\r\n"
    if expect_last is not None:
        lines += 1
        block += f"Nats-Expected-Last-Subject-Sequence: {expect_last}\r\n"
    block += "\r\n"
    command = f"HPUB {subject} {reply} {len(block)} {len(block) + size}\r\n"
    whole = command + block
    if command.count(" ") != _HPUB_SPACES or whole.count("\n") != lines or not whole.isascii():
        return None
    return whole.encode()


def split_answers(data: bytes, inbox: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """The messages at the beginning of `data` whose subjects are `inbox` and a number, and where they end.

    Each is that number and the body. What else there is, cut off or with headers, is left.
    """
    found: list[tuple[int, bytes]] = []
    begin, at = b"MSG " + inbox, 0
    while data.startswith(begin, at):
        line = data.find(b"\r\n", at)
        if line < 0:
            break
        words = data[at + len(begin) : line].split(b" ")
        if len(words) != 3 or not (words[0].isdigit() and words[2].isdigit()):
            break
        end = line + 2 + int(words[2])
        if end + 2 > len(data):
            break
        found.append((int(words[0]), data[line + 2 : end]))
        at = end + 2
    return found, at
