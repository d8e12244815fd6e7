"""`channel create|list|set|rotate-key|keys|add-key|revoke-key`."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from appliance.commands.api import call, wait_for_channel
from appliance.commands.place import live_status, say
from appliance.contracts.errors import UnavailableError


@dataclasses.dataclass(frozen=True, slots=True)
class KeyOptions:
    """What `add-key` was asked for. `days` 0: for ever."""

    label: str = ""
    standby: bool = False
    days: int = 0


def _endpoint(data: Path, name: str) -> str:
    status = live_status(data)
    if status is None:
        raise UnavailableError(f"no node runs on {data}")
    return status.endpoints[name]


def _base(data: Path) -> str:
    return _endpoint(data, "api")


def _print(answer: Any, as_json: bool, text: str) -> int:
    if as_json:
        sys.stdout.write(json.dumps(answer) + "\n")
    else:
        say(text)
    return 0


def create(data: Path, name: str, as_json: bool) -> int:
    """Makes a channel, its user and its first stream key; returns when the edge takes broadcasts of it."""
    answer = call(data, _base(data), "POST", "/channels", {"name": name, "username": name})
    if not wait_for_channel(_endpoint(data, "web"), answer["channel"]):
        say("the edge has not heard of this channel yet: it may be cut off from the centre")
    text = f"channel     {answer['channel']}\nserver      {answer['rtmp_url']}\nstream key  {answer['stream_key']}"
    return _print(answer, as_json, f"{text}\nchat token  {answer['token']}\n(shown once)")


def list_all(data: Path, as_json: bool) -> int:
    """Lists the channels."""
    answer = call(data, _base(data), "GET", "/channels")
    return _print(answer, as_json, "\n".join(entry["channel"] for entry in answer["channels"]) or "no channels yet")


def change(data: Path, name: str, wanted: dict[str, Any], as_json: bool) -> int:
    """Changes what `wanted` names of a channel: title, category, profile, access, partner, suspended."""
    answer = call(data, _base(data), "PATCH", f"/channels/{quote(name, safe='')}", wanted)
    text = f"{answer['channel']}: {', '.join(f'{key} {answer.get(key, value)}' for key, value in wanted.items())}"
    return _print(answer, as_json, f"{text}\n(profile and partner from the next broadcast on)")


def rotate_key(data: Path, name: str, as_json: bool) -> int:
    """Replaces a channel's stream keys by a new one."""
    answer = call(data, _base(data), "POST", f"/channels/{quote(name, safe='')}/rotate-key", {})
    return _print(answer, as_json, f"new stream key  {answer['stream_key']}\n(the old ones no longer work)")


def list_keys(data: Path, name: str, as_json: bool) -> int:
    """Lists a channel's valid stream keys, without their secrets."""
    answer = call(data, _base(data), "GET", f"/channels/{quote(name, safe='')}/keys")
    lines = [
        f"{key['key_id']}  {'standby' if key['standby'] else 'publish'}  "
        f"{'until ' + key['expires_at'] if key['expires_at'] else 'for ever'}  {key['label']}".rstrip()
        for key in answer["keys"]
    ]
    return _print(answer, as_json, "\n".join(lines) or "no valid keys")


def add_key(data: Path, name: str, options: KeyOptions, as_json: bool) -> int:
    """Makes one more stream key of a channel; the others stay valid."""
    body = {"label": options.label, "standby": options.standby, "expires_in_s": options.days * 86_400}
    answer = call(data, _base(data), "POST", f"/channels/{quote(name, safe='')}/keys", body)
    text = f"key id      {answer['key_id']}\nserver      {answer['rtmp_url']}\nstream key  {answer['stream_key']}"
    return _print(answer, as_json, f"{text}\n(shown once)")


def revoke_key(data: Path, name: str, key_id: str, as_json: bool) -> int:
    """Ends a stream key; who publishes with it is cut."""
    path = f"/channels/{quote(name, safe='')}/keys/{quote(key_id, safe='')}"
    return _print(call(data, _base(data), "DELETE", path), as_json, "the key no longer works")
