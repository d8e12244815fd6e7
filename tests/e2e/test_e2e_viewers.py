"""Viewers of a whole node: counted, heard, and let in to what is not for everybody."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.e2e_node import ROOT, Channel, Node, free_port_base
from tests.media_tools.clips import ClipMaker
from tests.media_tools.publisher import Publisher

pytestmark = pytest.mark.e2e


class Viewer:
    """A user with a token, and requests as a page makes them."""

    def __init__(self, node: Node, session: aiohttp.ClientSession, token: str = "") -> None:
        self.node, self.session, self.token = node, session, token

    async def api(self, method: str, path: str, body: Any = None, *, token: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        async with self.session.request(method, self.node.api + path, json=body, headers=headers) as answer:
            text = await answer.text()
            assert answer.status < 300, (path, answer.status, text)
            return json.loads(text) if text else None

    async def status(self, path: str, base: str = "") -> int:
        async with self.session.get((base or self.node.web) + path) as answer:
            await answer.read()
            return answer.status

    async def grant(self, channel: Channel) -> tuple[int, Any]:
        """What the watch page asks its own edge."""
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"{self.node.web}/live/{channel.name}/grant"
        async with self.session.get(url, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def live(self, channel: Channel) -> dict[str, Any]:
        """The channel's status once it is live."""
        async with asyncio.timeout(20):
            while True:
                async with self.session.get(f"{self.node.web}/live/{channel.name}/status.json") as answer:
                    found: dict[str, Any] = await answer.json()
                if found["state"] == "live":
                    return found
                await asyncio.sleep(0.1)

    async def report(self, stream: dict[str, Any], session: str, **changes: Any) -> int:
        body = {
            "v": 1, "session": session.ljust(22, "_"), "stream_id": stream["stream_id"], "seq": 0,
            "channel": stream["channel"], "player": "hls.js 1.7.0", "state": "playing", "interval_ms": 10_000,
            "latency_ms": 1500, "height": 360, **changes,
        }  # fmt: skip
        data = json.dumps(body)
        async with self.session.post(f"{self.node.web}/beacon", data=data) as answer:
            return answer.status


@contextlib.asynccontextmanager
async def viewer_of(node: Node, name: str) -> AsyncIterator[Viewer]:
    operator = (node.data / "keys" / "operator.token").read_text(encoding="utf-8").strip()
    async with aiohttp.ClientSession() as session:
        viewer = Viewer(node, session)
        made = await viewer.api("POST", "/users", {"username": name}, token=operator)
        viewer.token = made["token"]
        yield viewer


async def until_status(viewer: Viewer, path: str, wanted: int, seconds: float, base: str = "") -> float:
    """How long it took until `path` answers `wanted`."""
    began = time.monotonic()
    while (found := await viewer.status(path, base)) != wanted:
        assert time.monotonic() - began < seconds, f"{path} answers {found}, not {wanted}, after {seconds} s"
        await asyncio.sleep(0.1)
    return time.monotonic() - began


async def test_viewers_are_counted_and_a_follower_is_let_in_and_cut(node: Node, clips: ClipMaker) -> None:
    channel = await asyncio.to_thread(node.channel, "watched")
    with Publisher(clips.clip(40), channel.publish_url):
        async with viewer_of(node, "viewer-a") as viewer:
            stream = await viewer.live(channel)
            await told(viewer, channel, stream)
            await asyncio.to_thread(node.command, "channel", "set", channel.name, "--access", "followers")
            playlist = f"/live/{channel.name}/index.m3u8"
            await until_status(viewer, playlist, 401, 5)
            status, refused = await viewer.grant(channel)
            assert (status, refused["code"]) == (403, "followers_only")
            await viewer.api("PUT", f"/users/me/follows/{channel.name}")
            status, granted = await viewer.grant(channel)
            assert status == 200, granted
            prefix = f"/g/{granted['grant']}"
            await until_status(viewer, prefix + playlist, 200, 5)
            assert await viewer.status(f"{prefix}/media/{stream['stream_id']}/source/index.m3u8") == 200
            playback = await viewer.api("GET", f"/streams/{stream['stream_id']}/playback")
            assert await viewer.status("", playback["playback_url"]) == 200
            await viewer.api("DELETE", f"/users/me/follows/{channel.name}")
            took = await until_status(viewer, prefix + playlist, 403, 30)
            print(f"cut {took:.2f} s after unfollowing")
            assert await viewer.status(f"{prefix}/media/{stream['stream_id']}/source/index.m3u8") == 403


async def told(viewer: Viewer, channel: Channel, stream: dict[str, Any]) -> None:
    """Reports and requests of two viewers: counted at once, and shown to the owner."""
    playlist = f"/media/{stream['stream_id']}/source/index.m3u8"
    assert await viewer.report(stream, "one", startup_ms=800) == 204
    assert await viewer.status(f"{playlist}?CMCD=sid%3D%22{'one'.ljust(22, '_')}%22") == 200
    assert await viewer.status(f"{playlist}?CMCD=sid%3D%22two%22") == 200
    assert (await viewer.live(channel))["viewers"] == 2
    async with asyncio.timeout(20):
        while True:
            path = f"/streams/{stream['stream_id']}/quality"
            minutes = (await viewer.api("GET", path, token=channel.token))["minutes"]
            most = max((one["viewers"]["most"] for one in minutes if one["viewers"]), default=0)
            if sum(minute["reports"] for minute in minutes) == 1 and most == 2:
                break
            await asyncio.sleep(0.2)
    [minute] = [one for one in minutes if one["reports"]]
    assert 750 < minute["startup_ms"]["p50"] < 850
    assert list(minute["heights"]) == ["360"]


@pytest.fixture
def cache(node: Node, tmp_path: Path) -> Iterator[str]:
    """nginx in front of the node, configured as docs/cdn.md says; its URL."""
    port = free_port_base()
    text = (ROOT / "docs" / "cdn.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- nginx: begin -->\n```nginx\n(.*?)```", text, re.DOTALL)
    assert found is not None
    site = found[1].replace("/var/cache/nginx/nearcast", str(tmp_path / "cache"))
    site = site.replace("127.0.0.1:8080", f"127.0.0.1:{node.port_base}").replace("listen 8081", f"listen {port}")
    user = "user root;\n" if os.geteuid() == 0 else ""
    temporary = "".join(
        f"{name}_temp_path {tmp_path / name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    settings = tmp_path / "nginx.conf"
    settings.write_text(
        f"{user}daemon off;\nworker_processes 1;\npid {tmp_path / 'pid'};\nerror_log {tmp_path / 'error.log'};\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{site}}}\n"
    )
    server = subprocess.Popen(["nginx", "-p", str(tmp_path), "-c", str(settings)])
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait(10)


@pytest.mark.slow
async def test_a_shared_cache_keeps_one_object_and_lets_in_only_who_may(
    node: Node, clips: ClipMaker, cache: str
) -> None:
    channel = await asyncio.to_thread(node.channel, "cached")
    await asyncio.to_thread(node.command, "channel", "set", channel.name, "--access", "followers")
    with Publisher(clips.clip(40), channel.publish_url):
        async with viewer_of(node, "viewer-b") as one, viewer_of(node, "viewer-c") as other:
            stream = await one.live(channel)
            prefixes = []
            for viewer in (one, other):
                await viewer.api("PUT", f"/users/me/follows/{channel.name}")
                prefixes.append(f"/g/{(await viewer.grant(channel))[1]['grant']}")
            media = f"/media/{stream['stream_id']}/source"
            playlist = f"{media}/index.m3u8?_HLS_msn=1&_HLS_part=0"
            bodies, states = [], []
            for prefix, noise in zip(prefixes, ("&CMCD=bl%3D1", "&CMCD=bl%3D2"), strict=True):
                async with one.session.get(cache + prefix + playlist + noise) as answer:
                    assert answer.status == 200
                    bodies.append(await answer.read())
                    states.append(answer.headers["X-Cache"])
            assert states == ["MISS", "HIT"]
            assert bodies[0] == bodies[1]
            part = next(line for line in bodies[0].decode().splitlines() if line.startswith("s0"))
            states.clear()
            for prefix in prefixes:
                async with one.session.get(f"{cache}{prefix}{media}/{part}") as answer:
                    assert answer.status == 200
                    await answer.read()
                    states.append(answer.headers["X-Cache"])
            assert states == ["MISS", "HIT"], "one object for both"
            assert await one.status(f"{media}/{part}", cache) == 401, "what is kept is not open"
            assert await one.status(f"/g/{'x' * 183}{media}/{part}", cache) == 401
            await one.api("DELETE", f"/users/me/follows/{channel.name}")
            took = await until_status(one, f"{prefixes[0]}{media}/{part}", 403, 30, cache)
            print(f"cut {took:.2f} s after unfollowing, behind a cache that has the object")
            assert await one.status(f"{prefixes[1]}{media}/{part}", cache) == 200
            assert await one.status(f"{prefixes[1]}/live/{channel.name}/grant", cache) == 200


@pytest.mark.slow
async def test_a_shared_cache_lets_everything_else_pass(node: Node, cache: str) -> None:
    channel = await asyncio.to_thread(node.channel, "passed")
    name = channel.name
    async with aiohttp.ClientSession() as session:
        for path, kept in (
            (f"/{name}", False),
            (f"/embed/{name}", False),
            (f"/live/{name}/grant", False),
            ("/live/events", False),
            (f"/live/{name}/status.json", True),
        ):
            async with session.get(cache + path) as answer:
                assert answer.status in (200, 401), path
                assert ("X-Cache" in answer.headers) == kept, path  # of what goes through it
        for _ in range(2):
            async with session.ws_connect(f"{cache}/chat/{name}/subscribe") as socket:
                assert (await socket.receive_json(timeout=10))["type"] == "hello"


@pytest.mark.slow
async def test_with_the_wan_cut_a_grant_is_renewed_and_revoked_once_it_is_back(
    victim: Node, clips: ClipMaker
) -> None:
    channel = await asyncio.to_thread(victim.channel, "afar")
    hub = victim.roles()["nats-hub"].pid
    assert hub is not None
    with Publisher(clips.clip(60), channel.publish_url):
        async with viewer_of(victim, "viewer-d") as viewer:
            await viewer.live(channel)
            await asyncio.to_thread(victim.command, "channel", "set", channel.name, "--access", "followers")
            await viewer.api("PUT", f"/users/me/follows/{channel.name}")
            granted = (await viewer.grant(channel))[1]["grant"]
            playlist = f"/live/{channel.name}/index.m3u8"
            await until_status(viewer, f"/g/{granted}{playlist}", 200, 5)
            os.kill(hub, signal.SIGSTOP)
            try:
                assert (await viewer.grant(channel))[0] == 503
                async with viewer.session.get(f"{victim.web}/g/{granted}/live/{channel.name}/grant") as answer:
                    renewed = (await answer.json())["grant"]
                assert renewed != granted
                assert await viewer.status(f"/g/{renewed}{playlist}") == 200
            finally:
                os.kill(hub, signal.SIGCONT)
            await asyncio.sleep(1)
            await viewer.api("DELETE", f"/users/me/follows/{channel.name}")
            took = await until_status(viewer, f"/g/{renewed}{playlist}", 403, 30)
            print(f"a renewed grant is cut {took:.2f} s after unfollowing")
