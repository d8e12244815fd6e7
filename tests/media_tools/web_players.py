"""hls.js, shaka and video.js in a page of their own, and a server for it. They are installed once, under build/.

video.js is started as docs/players.md says, "videojs-alone" without that.
"""

import contextlib
import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_SOURCES = Path(__file__).parent / "players"
_PLACE = ROOT / "build" / "players"
PLAYERS = ("hls", "shaka", "videojs")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
    "--ignore-certificate-errors",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]


def install() -> Path:
    """The folder with the players' packages, as the lock file names them."""
    wanted = (_SOURCES / "package-lock.json").read_bytes()
    stamp = _PLACE / "installed.json"
    if stamp.exists() and stamp.read_bytes() == wanted:
        return _PLACE / "node_modules"
    _PLACE.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(_SOURCES / name, _PLACE / name)
    path = os.pathsep.join([str(ROOT / "build" / "node" / "bin"), os.environ.get("PATH", "")])
    npm = shutil.which("npm", path=path)
    if npm is None:
        raise FileNotFoundError("npm is needed for the players; `./nearcast test` brings it")
    subprocess.run(
        [npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=_PLACE,
        env={**os.environ, "PATH": path},
        check=True,
        stdout=sys.stderr,
    )
    stamp.write_bytes(wanted)
    return _PLACE / "node_modules"


def documented() -> str:
    """The script in docs/players.md."""
    text = (ROOT / "docs" / "players.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- video.js: begin -->\n```js\n(.*?)```", text, re.DOTALL)
    assert found is not None, "docs/players.md has no script"
    return found.group(1)


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments: Any, modules: Path) -> None:
        self._modules = modules
        super().__init__(*arguments, directory=str(_SOURCES))

    def do_GET(self) -> None:
        """A file, or what the documentation has pages of video.js do."""
        if self.path != "/documented/video.js":
            super().do_GET()
            return
        script = documented().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript")
        self.send_header("Content-Length", str(len(script)))
        self.end_headers()
        self.wfile.write(script)

    def translate_path(self, path: str) -> str:
        path = urllib.parse.urlsplit(path).path
        if path.startswith("/modules/"):
            return str(self._modules / path.removeprefix("/modules/"))
        return str(_SOURCES / path.lstrip("/"))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Says nothing."""


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The page's address while it is served."""
    handler = functools.partial(_Handler, modules=install())
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/page.html"
        finally:
            server.shutdown()
            thread.join()


def page_url(base: str, player: str, url: str, **options: str) -> str:
    """The page that plays `url`. Options: `hold`, PART-HOLD-BACK in seconds; `low` "0": no low latency.

    hls.js keeps to the rendition of `height`, when it is given.
    """
    return f"{base}?{urllib.parse.urlencode({'player': player, 'url': url, **options})}"
