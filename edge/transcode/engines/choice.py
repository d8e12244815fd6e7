"""Which engines a transcoder uses, in which order: a pure rule over the setting and the self-tests."""

import difflib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from appliance.contracts.errors import ConfigError
from edge.transcode.engines.catalogue import ENGINES

AUTO = "auto"
SOFTWARE = "x264"
ON_CARD = "nvenc"  # its card can decode and scale too, so that pictures are never copied
ZERO_COPY = f"{ON_CARD} (zero copy)"
_AUTO_ORDER = ("nvenc", "qsv", "amf", "vaapi", SOFTWARE)


class SelfTest(msgspec.Struct, frozen=True, kw_only=True):
    """What the self-test of an engine, or of `ZERO_COPY`, found.

    `frames_per_s` of 720p, with zero copy also made into 360p; 0 when it was not measured.
    """

    engine: str
    usable: bool
    reason: str = ""  # why not, in words
    frames_per_s: float = 0.0


def wanted(setting: Iterable[str]) -> tuple[str, ...]:
    """The engines that `transcode.engines` names, each once. ConfigError for a name that there is not.

    "auto" stands for hardware first and x264 last.
    """
    names: dict[str, None] = {}
    for name in setting:
        if name != AUTO and name not in ENGINES:
            near = difflib.get_close_matches(name, [AUTO, *ENGINES], n=1)
            hint = f", did you mean {near[0]}?" if near else f", there are {', '.join([AUTO, *ENGINES])}"
            raise ConfigError(f"unknown encoder engine {name} in transcode.engines{hint}")
        names |= dict.fromkeys(_AUTO_ORDER if name == AUTO else (name,))
    return tuple(names) or (SOFTWARE,)


def to_test(names: Sequence[str]) -> tuple[str, ...]:
    """Those of them whose self-test decides anything: x264 needs none."""
    return tuple(name for name in names if name != SOFTWARE)


def choose(names: Sequence[str], tests: Mapping[str, SelfTest]) -> tuple[str, ...]:
    """The usable ones of `names` in their order. x264 when none is: a slow picture is better than none."""
    return tuple(name for name in names if name == SOFTWARE or tests[name].usable) or (SOFTWARE,)
