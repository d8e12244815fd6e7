"""OBS Studio without a screen: a profile, a scene collection and a service in a home folder of its own."""

import json
import subprocess
from pathlib import Path
from typing import Any

NAME = "nearcast"
_GLOBAL = f"""[General]
FirstRun=true
Pre19Defaults=false
Pre21Defaults=false
Pre23Defaults=false
Pre24.1Defaults=false
InfoIncrement=99
EnableAutoUpdates=false

[Basic]
Profile={NAME}
ProfileDir={NAME}
SceneCollection={NAME}
SceneCollectionFile={NAME}
ConfigOnNewProfile=false

[BasicWindow]
WarnBeforeStartingStream=false
"""
_BASIC = f"""[General]
Name={NAME}

[Video]
BaseCX=1280
BaseCY=720
OutputCX=1280
OutputCY=720
FPSType=0
FPSCommon=30

[Output]
Mode={{mode}}

[SimpleOutput]
VBitrate=2500
ABitrate=160
StreamEncoder=x264
Preset=ultrafast

[AdvOut]
Encoder=obs_x264
TrackIndex=1
"""
_ENCODER = {"rate_control": "CBR", "bitrate": 2500, "keyint_sec": 2, "preset": "ultrafast", "profile": "high"}


def command() -> list[str]:
    """Starts streaming at once."""
    return [
        *("xvfb-run", "-a", "-s", "-screen 0 1280x800x24", "dbus-run-session", "--"),
        *("obs", "--startstreaming", "--multi", "--profile", NAME, "--collection", NAME, "--verbose"),
    ]


def environment(home: Path, server: str, key: str, *, advanced: bool = False) -> dict[str, str]:
    """Makes the home folder; the environment that OBS runs in.

    The simple output leaves the keyframe interval to x264, the advanced one is set to 2 s.
    """
    config = home / ".config" / "obs-studio"
    profile, scenes, runtime = config / "basic/profiles" / NAME, config / "basic/scenes", home / "runtime"
    for folder in (profile, scenes, runtime):
        folder.mkdir(parents=True)
    runtime.chmod(0o700)
    (config / "global.ini").write_text(_GLOBAL)
    (profile / "basic.ini").write_text(_BASIC.format(mode="Advanced" if advanced else "Simple"))
    (profile / "streamEncoder.json").write_text(json.dumps(_ENCODER))
    settings = {"key": key, "server": server, "use_auth": False, "bwtest": False}
    (profile / "service.json").write_text(json.dumps({"settings": settings, "type": "rtmp_custom"}))
    (scenes / f"{NAME}.json").write_text(json.dumps(_scenes()))
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_RUNTIME_DIR": str(runtime),
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "QT_QPA_PLATFORM": "xcb",
    }


def _scenes() -> dict[str, Any]:
    colour = {
        "id": "color_source_v3",
        "versioned_id": "color_source_v3",
        "name": "Colour",
        "settings": {"color": 0xFF3366CC, "width": 1280, "height": 720},
    }
    item = {"name": "Colour", "id": 1, "visible": True, "pos": {"x": 0.0, "y": 0.0}, "scale": {"x": 1.0, "y": 1.0}}
    scene = {
        "id": "scene",
        "versioned_id": "scene",
        "name": "Scene",
        "settings": {"items": [item], "id_counter": 1, "custom_size": False},
    }
    return {
        "name": NAME,
        "current_scene": "Scene",
        "current_program_scene": "Scene",
        "scene_order": [{"name": "Scene"}],
        "sources": [colour, scene],
    }


def version() -> str:
    """Such as 29.0.2."""
    done = subprocess.run(["obs", "--version"], capture_output=True, text=True, check=True)
    found = done.stdout.rpartition("OBS Studio - ")[2].split()[0].partition("-")[0]
    return ".".join(found.split(".")[:3])
