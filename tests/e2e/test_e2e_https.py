"""The viewer port over TLS as people meet it: curl, a WebSocket, Chromium, nginx in front, and h2spec."""

import asyncio
import json
import os
import shutil
import ssl
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import async_playwright

from tests.e2e.e2e_node import ROOT, Channel, Node, free_port_base
from tests.e2e.e2e_pages import ARGUMENTS, PLAY_S, Watcher, until_live
from tests.e2e.test_e2e_chat import Chatter, room
from tests.media_tools.clips import ClipMaker
from tests.media_tools.publisher import Publisher

pytestmark = pytest.mark.e2e
__all__ = ["room"]

# On the plain port both versions are spoken: what is no preface is read as HTTP/1.1, and answered by its 400.
EXPECTED = {"h2c": {("http2/3.5", "Sends invalid connection preface")}, "h2": set()}
_CASES = 145
_FRONT = """daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder};
  proxy_temp_path {folder};
  fastcgi_temp_path {folder};
  uwsgi_temp_path {folder};
  scgi_temp_path {folder};
  ssl_certificate {data}/tls/node.crt;
  ssl_certificate_key {data}/tls/node.key;
  server {{
    listen 127.0.0.1:{port} ssl http2;
    location / {{
      proxy_pass http://127.0.0.1:{behind};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_buffering off;
    }}
  }}
}}
"""


def curl(url: str, *arguments: str, version: str = "--http2") -> tuple[str, int, str]:
    """HTTP's version, the status, and the body."""
    done = subprocess.run(
        ["curl", "-sSk", version, "-m", "10", "-w", "\n%{http_version} %{http_code}", *arguments, url],
        capture_output=True,
        text=True,
        check=True,
    )
    body, _, last = done.stdout.rpartition("\n")
    spoken, status = last.split()
    return spoken, int(status), body


async def test_everything_but_media_over_http2(node: Node, room: tuple[Channel, str]) -> None:
    channel, path = room
    web = (await asyncio.to_thread(node.endpoint, "web_tls")).rstrip("/")
    assert web == f"https://127.0.0.1:{node.port_base + 1}"
    for url, wanted in (("/healthz", 200), (f"/live/{channel.name}/index.m3u8", 410), (f"{path}", 200)):
        spoken, status, body = await asyncio.to_thread(curl, web + url)
        assert (spoken, status) == ("2", wanted), body
    assert (await asyncio.to_thread(curl, f"{web}/healthz", version="--http1.1"))[0] == "1.1"
    said = json.dumps({"user_id": channel.user_id, "message": "over TLS"})
    posted = ("-H", f"Authorization: Bearer {channel.token}", "-H", "Content-Type: application/json", "-d", said)
    offer = ("-H", f"Authorization: Bearer {channel.key}", "-H", "Content-Type: application/sdp", "-d", "v=0")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{web}{path}/subscribe", ssl=context) as socket,
    ):
        chatter = Chatter(socket)
        await chatter.until("hello")
        spoken, status, body = await asyncio.to_thread(curl, web + path, *posted)
        assert (spoken, status) == ("2", 201), body
        assert await chatter.until_heard(1) == ["over TLS"]
    spoken, status, body = await asyncio.to_thread(curl, f"{web}/whip", *offer)
    assert (spoken, status) == ("2", 400), body


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(
    not (ROOT / "edge/web/dist/index.html").exists() or not Path("/usr/bin/chromium").exists(),
    reason="needs the built pages and Chromium",
)
async def test_chromium_plays_over_https(node: Node, clips: ClipMaker) -> None:
    channel = await asyncio.to_thread(node.channel, "secure")
    web = await asyncio.to_thread(node.endpoint, "web_tls")
    arguments = [*ARGUMENTS, "--ignore-certificate-errors"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        with Publisher(clips.clip(60), channel.publish_url):
            await until_live(node, channel)
            watcher = Watcher(await browser.new_page())
            await watcher.page.goto(f"{web}{channel.name}", wait_until="domcontentloaded")
            print(f"plays after {await watcher.plays():.1f} s")
            await asyncio.sleep(PLAY_S / 2)
            begin = await watcher.time()
            await asyncio.sleep(PLAY_S / 2)
            assert await watcher.time() - begin > 0.9 * PLAY_S / 2
            spoken = await watcher.page.evaluate(
                "() => performance.getEntriesByType('resource').map((entry) => entry.nextHopProtocol)"
            )
            assert await watcher.number("stalls") == 0
            print(f"latency {await watcher.number('latency'):.2f} s, {len(spoken)} resources, {set(spoken)}")
        assert "h2" in spoken
        assert not watcher.errors
        await browser.close()


@pytest.fixture
def front(node: Node, tmp_path: Path) -> Iterator[str]:
    """nginx with TLS and HTTP/2 before the plain port; its URL."""
    if shutil.which("nginx") is None:
        pytest.skip("needs nginx")
    port = free_port_base()
    file = tmp_path / "nginx.conf"
    file.write_text(_FRONT.format(folder=tmp_path, data=node.data, port=port, behind=node.port_base))
    argv = ["nginx", "-p", str(tmp_path), "-e", str(tmp_path / "error.log"), "-c", str(file)]
    if os.geteuid() == 0:
        argv += ["-g", "user root;"]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    yield f"https://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


@pytest.mark.slow
def test_nginx_in_front(node: Node, front: str, clips: ClipMaker) -> None:
    channel = node.channel("fronted")
    with Publisher(clips.clip(20), channel.publish_url):
        until = time.monotonic() + 15
        while (found := _playlist(front, channel)) is None:
            assert time.monotonic() < until, "not live behind nginx"
            time.sleep(0.1)
        names = found.splitlines()
        uri = next(line for line in names if line.endswith("index.m3u8"))
        for query in ("", "?_HLS_msn=1&_HLS_part=1"):
            spoken, status, media = curl(f"{front}/live/{channel.name}/{uri}{query}")
            assert (spoken, status) == ("2", 200)
            assert "#EXT-X-PART:" in media
        document = curl(f"{front}/live/{channel.name}/status.json")[2]
        assert json.loads(document)["viewers"] == 1


def _playlist(front: str, channel: Channel) -> str | None:
    _, status, body = curl(f"{front}/live/{channel.name}/index.m3u8")
    return body if status == 200 else None


@pytest.mark.slow
@pytest.mark.parametrize("spoken", ["h2", "h2c"])
def test_h2spec(node: Node, tmp_path: Path, spoken: str) -> None:
    program = shutil.which("h2spec") or str(Path.home() / "go" / "bin" / "h2spec")
    if not Path(program).exists():
        if shutil.which("go") is None:
            pytest.skip("needs h2spec, or go to install it")
        subprocess.run(["go", "install", "github.com/summerwind/h2spec/cmd/h2spec@latest"], check=True, timeout=600)
    secure = ["-t", "-k"] if spoken == "h2" else []
    port = str(node.port_base + (spoken == "h2"))
    report = tmp_path / "report.xml"
    subprocess.run(
        [program, "-h", "127.0.0.1", "-p", port, *secure, "-P", "/favicon.svg", "-o", "4", "-j", str(report)],
        capture_output=True,
        check=False,
        timeout=300,
    )
    cases = list(ET.parse(report).getroot().iter("testcase"))
    failed = {
        (case.get("package") or "", case.get("classname") or "")
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    }
    assert len(cases) >= _CASES
    assert failed == EXPECTED[spoken]
