"""Programs of other people that play: their command lines, and what they say when something is wrong."""

import os
import re
from pathlib import Path

from tests.media_tools.clients import Running

PROGRAMS = {
    "ffmpeg": ["ffmpeg", "-nostdin", "-loglevel", "error", "-re", "-i", "{url}", "-f", "null", "-"],
    "ffplay": ["ffplay", "-loglevel", "error", "-nostats", "-i", "{url}"],
    "mpv": ["mpv", "--no-config", "--vo=null", "--ao=null", "--msg-level=all=error", "{url}"],
    "vlc": ["vlc", "-I", "dummy", "--vout", "vdummy", "--aout", "adummy", "--quiet", "{url}"],
    "gstreamer": ["gst-launch-1.0", "-q", "playbin3", "uri={url}", "video-sink=fakesink sync=true",
                  "audio-sink=fakesink sync=true"],
}  # fmt: skip
_HARMLESS = re.compile(
    r"VLC media player|No such service|dbus|XDG_RUNTIME_DIR|pulse|ALSA|vdpau|vaapi|cannot create instance"
    # Two fragments of a rendition are read by two threads of VLC: it says so when it joins.
    r"|Fragment sequence discontinuity|running as root|Estimating duration|qt interface|lua|globalhotkeys",
    re.IGNORECASE,
)
_AS_ROOT = {"vlc": ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]}


def player(program: str, url: str, folder: Path) -> Running:
    """One of `PROGRAMS` that plays `url`; what it says is in `folder`, which is its home."""
    command = [part.format(url=url) for part in PROGRAMS[program]]
    silent = {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy", "HOME": str(folder)}
    if program in _AS_ROOT and os.geteuid() == 0:
        command = [*_AS_ROOT[program], *command]
        folder.chmod(0o777)
    return Running(command, folder / f"{program}.log", silent)


def complaints(said: str) -> list[str]:
    """Lines that speak of something wrong."""
    return [line for line in said.splitlines() if line.strip() and not _HARMLESS.search(line)]
