"""Checks of the box. Each looks at one thing and says what to do when it is wrong."""

import errno
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from appliance.doctor.compiled import hot_modules
from appliance.doctor.findings import Finding
from appliance.doctor.history import chat_history
from appliance.doctor.ports import holder_of
from appliance.doctor.udp import udp_room
from appliance.runtime.listening import open_listener
from appliance.runtime.settings import Settings

_LEAST_FREE = 1 << 30
_FULL = 64 << 20
_LEAST_FILES = 4096
_MORE_FILES = "raise it to 65536 (ulimit -Hn, LimitNOFILE): each viewer takes a file"
_OF_TLS = frozenset(("https", "rtmps", "ircs"))
_OUTSIDE = frozenset(("http", "https", "rtmp", "rtmps", "irc", "ircs", "api"))
_USED_PORTS = (
    "http", "https", "rtmp", "rtmps", "irc", "ircs", "api", "nats", "nats_leaf", "metrics", "nats_hub"
)  # fmt: skip


Check = Callable[[Settings], list[Finding]]


def ports(settings: Settings) -> list[Finding]:
    """Whether the ports this node needs are free; names who holds a busy one."""
    found = [_port(settings.node.host, name, getattr(settings.ports, name)) for name in _used_ports(settings)]
    media = ("webrtc", "webrtc_out") if settings.whep.enabled else ("webrtc",)
    return found + [_media_port(settings.node.host, name, getattr(settings.ports, name)) for name in media]


def _used_ports(settings: Settings) -> list[str]:
    return [name for name in _USED_PORTS if settings.tls.enabled or name not in _OF_TLS]


def _port(host: str, name: str, number: int) -> Finding:
    address = host if name in _OUTSIDE else "127.0.0.1"
    try:
        open_listener(address, number, shared=False).close()
    except socket.gaierror as error:
        return Finding(f"port {name}", f"{address} is no address: {error.strerror}", "choose another node.host")
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            return Finding(f"port {name}", f"this machine does not have {address}", "choose another node.host")
        return _busy(name, number, "tcp", error)
    return Finding(f"port {name}", f"{number} is free")


def _media_port(host: str, name: str, number: int) -> Finding:
    """UDP, which WebRTC needs; without TCP it does. What is wrong with the address is told of the other ports."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _busy(name, number, "udp", error)
    return Finding(f"port {name}", f"{number} of UDP is free")


def _busy(name: str, number: int, protocol: str, error: OSError) -> Finding:
    holder = holder_of(number, protocol)
    who = f"held by {holder}" if holder else str(error.strerror)
    of_udp = " of UDP" if protocol == "udp" else ""
    return Finding(
        f"port {name}", f"{number}{of_udp} is busy, {who}", "stop it, or choose other ports with --port-base N"
    )


def disk(settings: Settings) -> list[Finding]:
    """Whether the data directory has room for the logs: well below what the recorder leaves of a disk it fills,
    as a node must start again on it."""
    free = free_bytes(settings.data_dir)
    least = max(_FULL, min(_LEAST_FREE, settings.recorder.spare_bytes // 2))
    seen = f"{free / (1 << 30):.1f} GiB free for {settings.data_dir}"
    return [Finding("disk", seen, "" if free >= least else "free at least 2 GiB or choose another --data")]


def free_bytes(folder: Path) -> int:
    """Of the disk that the folder is on, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def files(_settings: Settings) -> list[Finding]:
    """Whether a process may hold enough connections: roles take as many as they may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    good = hard >= _LEAST_FILES or hard == resource.RLIM_INFINITY
    return [Finding("file limit", f"{soft} now, {hard} at most", "" if good else _MORE_FILES)]


def clock(_settings: Settings) -> list[Finding]:
    """Whether the clock is plausible and steady: program date times are read from it."""
    if time.time() < 1_700_000_000:
        return [Finding("clock", time.strftime("%Y-%m-%d"), "set the clock: it lies in the past")]
    before = time.time() - time.monotonic()
    time.sleep(0.2)
    drift = abs(time.time() - time.monotonic() - before)
    return [Finding("clock", f"steady within {drift * 1000:.1f} ms", "" if drift < 0.05 else "find what steps it")]


_PROBE = """
import av
from fractions import Fraction
c = av.CodecContext.create("libx264", "w")
c.width, c.height, c.pix_fmt, c.time_base, c.framerate = 320, 180, "yuv420p", Fraction(1, 90000), Fraction(30)
c.options = {"preset": "superfast", "tune": "zerolatency"}
n = 0
for i in range(12):
    f = av.VideoFrame(320, 180, "yuv420p"); f.pts, f.time_base = i * 3000, c.time_base
    n += len(c.encode(f))
n += len(c.encode(None))
assert n == 12, n
"""


def encoder(_settings: Settings) -> list[Finding]:
    """Whether the video encoder works, tried in a child because drivers may crash."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=15, check=False
        )
    except subprocess.TimeoutExpired:
        return [Finding("encoder", "x264 hangs", "reinstall: the encoder library does not work on this machine")]
    if done.returncode:
        return [Finding("encoder", done.stderr.strip()[-200:], "reinstall: the encoder library does not work here")]
    return [Finding("encoder", "x264 encodes")]


def programs(_settings: Settings) -> list[Finding]:
    """Whether the system programs we call are there."""
    there = Path("/usr/bin/setpriv").exists() or shutil.which("setpriv") is not None
    return [Finding("setpriv", "found" if there else "missing", "" if there else "install util-linux")]


ALL: tuple[Check, ...] = (ports, disk, files, udp_room, clock, programs, encoder, hot_modules, chat_history)
BEFORE_START: tuple[Check, ...] = (ports, disk, programs)
AT_START: tuple[Check, ...] = (files,)  # with which a node works, until there are many viewers
