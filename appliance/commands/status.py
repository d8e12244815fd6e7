"""`status`, `stop` and `logs`."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from appliance.commands.place import live_status, running_settings, say
from appliance.commands.transcoding import rungs_in_words, transcode
from appliance.contracts import subjects
from appliance.contracts.errors import NearcastError, UnavailableError
from appliance.contracts.media import Broadcast, BroadcastState, Notice
from appliance.contracts.session import SessionRecord
from appliance.contracts.transcode import RungsRecord, WorkerRecord
from appliance.doctor.checks import free_bytes
from appliance.runtime.bus import Bus, Endpoint
from appliance.supervisor.control import Wish, ask
from appliance.supervisor.plan import control_socket

_FULL, _SCARCE = 16 << 20, 1 << 30  # bytes that are free
_BUS_S = 2.0
_STOP_S = 60.0
_RESTART_S = 600.0


def status(data: Path, as_json: bool) -> int:
    """State of the node, its roles, and what streamers should know about their broadcasts."""
    node = live_status(data)
    if node is None:
        if as_json:
            sys.stdout.write('{"state":"stopped","endpoints":{},"roles":[]}\n')
        else:
            say(f"no node runs on {data}")
        return 1
    live = _live(data)
    free = free_bytes(data)
    document = {
        **msgspec.to_builtins(node),
        **live,
        "chat_history": _chat_history(node.endpoints["api"]),
        "disk_free_bytes": free,
    }
    if free < _FULL and node.state == "ready":
        document["state"] = "degraded"
    if as_json:
        sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
    else:
        _say_all(document)
    return 0 if document["state"] == "ready" else 1


def restart(data: Path, roles: list[str], as_json: bool) -> int:
    """Has the running node start roles again. NearcastError: it does not run, or could not."""
    if live_status(data) is None:
        raise UnavailableError(f"no node runs on {data}")
    granted = ask(control_socket(running_settings(data)), Wish(restart=roles), _RESTART_S)
    if as_json:
        sys.stdout.write(msgspec.json.encode(granted).decode() + "\n")
    else:
        say(f"started again: {', '.join(granted.restarted)}")
    return 0


def _chat_history(api: str) -> dict[str, str]:
    """Which store keeps the history of chat, and whether it answers; empty while the coordinator does not."""
    parts = urlsplit(api)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=_BUS_S)
    try:
        with contextlib.closing(connection):
            connection.request("GET", "/readyz")
            answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    return {"store": answer["chat_store"], "state": answer["chat_history"]} if "chat_store" in answer else {}


def _live(data: Path) -> dict[str, Any]:
    try:
        return asyncio.run(_read_live(data))
    except NearcastError:
        return {"broadcasts": [], "notices": [], "sessions": [], "transcode": transcode([], [])}


async def _read_live(data: Path) -> dict[str, Any]:
    settings = running_settings(data)
    bus = await Bus.connect(Endpoint(settings.bus.local_url), name="status", deadline_s=_BUS_S)
    try:
        broadcasts, notices, rungs = [], [], []
        for key, value in await bus.bucket(subjects.LIVE_BUCKET).items():
            if key.startswith("broadcast."):
                broadcasts.append(msgspec.json.decode(value, type=Broadcast))
            elif key.startswith("notice."):
                notices.append(msgspec.json.decode(value, type=Notice))
            elif key.startswith("rungs."):
                rungs.append(msgspec.json.decode(value, type=RungsRecord))
        sessions = [
            msgspec.json.decode(value, type=SessionRecord)
            for key, value in await bus.bucket(subjects.FIGURES_BUCKET).items()
            if key.startswith("session.")
        ]
        workers = [
            msgspec.json.decode(value, type=WorkerRecord)
            for key, value in await bus.bucket(subjects.LEASE_BUCKET).items()
            if key.startswith("worker.")
        ]
    finally:
        await bus.close()
    active = [entry for entry in broadcasts if entry.state is not BroadcastState.ENDED]
    recent = [entry for entry in notices if entry.at_ms > (time.time() - 3600) * 1000]
    running = [entry for entry in sessions if not entry.ended_at_ms and entry.at_ms > (time.time() - 30) * 1000]
    return {
        "broadcasts": msgspec.to_builtins(active),
        "notices": msgspec.to_builtins(recent),
        "sessions": msgspec.to_builtins(running),
        "transcode": transcode(workers, [entry for entry in rungs if _is_active(entry, active)]),
    }


def _is_active(record: RungsRecord, active: list[Broadcast]) -> bool:
    return any(broadcast.broadcast_id == record.broadcast_id for broadcast in active)


def _say_all(document: dict[str, Any]) -> None:
    _say_node(document)
    load = document["transcode"]
    if load["workers"]:
        say(f"transcoding takes {load['load_cores']:.2f} of {load['budget_cores']:.2f} cores")
    made = {entry["broadcast_id"]: entry for entry in load["broadcasts"]}
    for entry in document["broadcasts"]:
        say(f"broadcast {entry['channel']}: {entry['state']}")
        if entry["broadcast_id"] in made:
            say(f"  {rungs_in_words(made[entry['broadcast_id']]['rungs'])}")
        for problem in entry["problems"]:
            say(f"  {problem['text']}")
    for session in document["sessions"]:
        rate = f"{session['bit_rate'] / 1_000_000:.1f} Mbit/s"
        trip = f", round trip {session['rtt_ms']:.0f} ms" if session["rtt_ms"] is not None else ""
        who = f"{session['channel']}: {session['slot']} {session['kind']} from {session['address']}"
        say(f"encoder {who}, {rate}{trip}, {session['encoder']}")
    for notice in document["notices"]:
        say(f"refused {notice['channel']}: {notice['text']}")


def _say_node(document: dict[str, Any]) -> None:
    say(f"node {document['state']}, version {document['version']}")
    for role in document["roles"]:
        again = f", restarted {role['restarts']} times" if role["restarts"] else ""
        say(f"  {role['name']:<12} {role['state']:<11} pid {role['pid']}{again}")
    for name, url in document["endpoints"].items():
        say(f"  {name:<8} {url}")
    free = document["disk_free_bytes"]
    if free < _SCARCE:
        say(f"disk: only {free / (1 << 20):.0f} MiB free; a full one stops everything: free at least 2 GiB")
    if document["chat_history"]:
        say("chat history in {store}: {state}".format(**document["chat_history"]))


def stop(data: Path) -> int:
    """Asks the node to stop and waits until it has."""
    node = live_status(data)
    if node is None:
        say(f"no node runs on {data}")
        return 0
    os.kill(node.pid, signal.SIGTERM)
    until = time.monotonic() + _STOP_S
    while live_status(data) is not None:
        if time.monotonic() > until:
            say("the node has not stopped; see `nearcast logs`")
            return 3
        time.sleep(0.1)
    say("stopped")
    return 0


def logs(data: Path, role: str | None, lines: int, follow: bool) -> int:
    """The last lines of one role's log or of all, and what comes after them."""
    files = sorted((data / "logs").glob(f"{role or '*'}.log"))
    if not files:
        say(f"no logs of {role or 'any role'} in {data / 'logs'}")
        return 1
    positions = {}
    for file in files:
        content = file.read_bytes()
        positions[file] = len(content)
        _show(file, content.splitlines()[-lines:], len(files) > 1)
    try:
        while follow:
            time.sleep(0.3)
            for file in files:
                positions[file] = _more(file, positions[file], len(files) > 1)
    except KeyboardInterrupt:
        return 0
    return 0


def _more(file: Path, position: int, named: bool) -> int:
    with file.open("rb") as opened:
        position = min(position, opened.seek(0, os.SEEK_END))  # it began anew
        opened.seek(position)
        content = opened.read()
    end = content.rfind(b"\n") + 1
    _show(file, content[:end].splitlines(), named)
    return position + end


def _show(file: Path, lines: list[bytes], named: bool) -> None:
    prefix = f"{file.stem}: " if named else ""
    for line in lines:
        sys.stdout.write(prefix + line.decode(errors="replace") + "\n")
    sys.stdout.flush()
