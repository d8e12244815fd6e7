"""The hot modules of ingest as machine code, where the launcher could make it (mypyc).

The sources stay what is read, checked and tested: they are compiled into a folder under `build`, and `use` lets the
imports of a process find them there. Without that folder, or with one made of other sources, they are interpreted.

What compiled code does not do: take another function in the place of one of its own, or a value of another type
than a signature says. A class attribute that is no `ClassVar` is one of each instance there.

What makes it fast: a module's constants are `Final` unless a test replaces them, else each use looks them up by
name; what there is one of for each frame is a `Record`, else each field is looked up; classes, where it matters,
and not protocols.
"""

import hashlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "NEARCAST_COMPILED"  # names the folder; the launcher sets it
MODULES = (
    "appliance.runtime.appender",
    "appliance.runtime.wire",
    "edge.ingest.audio_path",
    "edge.ingest.bitstreams",
    "edge.ingest.inputs",
    "edge.ingest.key_frames",
    "edge.ingest.packager",
    "edge.ingest.reel",
    "edge.ingest.rendition",
    "edge.ingest.rest",
    "edge.ingest.rounds",
    "edge.ingest.rtmp_socket",
    "edge.ingest.session",
    "edge.ingest.shared",
    "edge.ingest.sounds",
    "edge.ingest.video_path",
    "edge.ingest.whip.formats",
    "edge.ingest.whip.session",
    "edge.ingest.whip.tags",
    "edge.ingest.writer",
    "edge.media.absence",
    "edge.media.audio_clock",
    "edge.media.audio_cutter",
    "edge.media.health",
    "edge.media.segmenter",
    "edge.media.segmenter_config",
    "edge.media.stamps",
    "edge.media.timeline",
    "edge.media.video_clock",
    "edge.net.udp",
    "edge.protocols.codecs.avc",
    "edge.protocols.flv.tags",
    "edge.protocols.flv.writer",
    "edge.protocols.fmp4.fragment",
    "edge.protocols.fmp4.track",
    "edge.protocols.record",
    "edge.protocols.rtmp.chunks",
    "edge.protocols.rtmp.connection",
    "edge.protocols.rtmp.events",
    "edge.protocols.rtmp.streams",
    "edge.protocols.webrtc.depayload.av1",
    "edge.protocols.webrtc.depayload.base",
    "edge.protocols.webrtc.depayload.h264",
    "edge.protocols.webrtc.depayload.hevc",
    "edge.protocols.webrtc.depayload.opus",
    "edge.protocols.webrtc.depayload.vp8",
    "edge.protocols.webrtc.depayload.vp9",
    "edge.protocols.webrtc.ice",
    "edge.protocols.webrtc.receiver",
    "edge.protocols.webrtc.reorder",
    "edge.protocols.webrtc.rtp",
    "edge.protocols.webrtc.source",
    "edge.protocols.webrtc.srtp",
    "edge.protocols.webrtc.sync",
    "edge.protocols.webrtc.twcc",
)
_MADE_OF = (
    "appliance/contracts",
    "appliance/runtime",
    "edge/compiled",
    "edge/ingest",
    "edge/media",
    "edge/net",
    "edge/protocols",
)
_LOCK = "requirements/compile.lock"
_SUFFIX = EXTENSION_SUFFIXES[0]


def source(module: str) -> str:
    """The file of a module, relative to ROOT."""
    return module.replace(".", "/") + ".py"


def folder() -> Path:
    """Where what is made of these sources for this Python belongs."""
    digest = hashlib.sha256(f"{_SUFFIX} {sys.version}".encode())
    for path in (ROOT / _LOCK, *_sources()):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT)} {len(data)} ".encode() + data)
    return ROOT / "build" / "compiled" / digest.hexdigest()[:16]


def _sources() -> Iterator[Path]:
    """All that the compiled code takes types and constants from."""
    for name in _MADE_OF:
        yield from sorted((ROOT / name).rglob("*.py"))


def use(found: Path | None = None) -> bool:
    """Has this process import compiled modules, before it has imported any of them.

    `found` is what VARIABLE says when it is left out. False: there are none that were made of these sources.
    """
    if found is None:
        found = Path(os.environ.get(VARIABLE) or os.devnull)
    if not found.is_dir() or found != folder():
        return False
    _find_in(found)
    return True


def in_use() -> bool:
    """Whether this process imports compiled modules."""
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


def _find_in(found: Path) -> None:
    if loaded := sorted(sys.modules.keys() & set(MODULES)):
        raise RuntimeError(f"imported already: {', '.join(loaded)}")
    sys.meta_path.insert(0, _Finder(found))


class _Finder:
    """An entry of sys.meta_path that knows the extension modules of one folder by their full names."""

    def __init__(self, found: Path) -> None:
        files = found.rglob(f"*{_SUFFIX}")
        self._files = {".".join(path.relative_to(found).parts)[: -len(_SUFFIX)]: path for path in files}

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See importlib.abc.MetaPathFinder."""
        file = self._files.get(name)
        return None if file is None else spec_from_file_location(name, file)


def load_all(found: Path) -> None:
    """Imports every module from a new folder, which is not in its place yet. ImportError when one is not good."""
    _find_in(found)
    for name in MODULES:
        if not str(importlib.import_module(name).__file__).startswith(str(found)):
            raise ImportError(f"{name} was not compiled")
