"""`channel create|list|rotate-key`."""

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from appliance.commands.api import call
from appliance.commands.place import live_status, say
from appliance.contracts.errors import UnavailableError


def _base(data: Path) -> str:
    status = live_status(data)
    if status is None:
        raise UnavailableError(f"no node runs on {data}")
    return status.endpoints["api"]


def _print(answer: Any, as_json: bool, text: str) -> int:
    if as_json:
        sys.stdout.write(json.dumps(answer) + "\n")
    else:
        say(text)
    return 0


def create(data: Path, name: str, as_json: bool) -> int:
    """Makes a channel, its user and its first stream key."""
    answer = call(data, _base(data), "POST", "/channels", {"name": name, "username": name})
    text = f"channel     {answer['channel']}\nserver      {answer['rtmp_url']}\nstream key  {answer['stream_key']}"
    return _print(answer, as_json, f"{text}\nchat token  {answer['token']}\n(shown once)")


def list_all(data: Path, as_json: bool) -> int:
    """Lists the channels."""
    answer = call(data, _base(data), "GET", "/channels")
    return _print(answer, as_json, "\n".join(entry["channel"] for entry in answer["channels"]) or "no channels yet")


def rotate_key(data: Path, name: str, as_json: bool) -> int:
    """Replaces a channel's stream keys by a new one."""
    answer = call(data, _base(data), "POST", f"/channels/{quote(name, safe='')}/rotate-key", {})
    return _print(answer, as_json, f"new stream key  {answer['stream_key']}\n(the old ones no longer work)")
