"""Which engines are used: the setting, the self-tests, and self-tests that end badly."""

import json
import sys
from pathlib import Path

import av
import pytest
from av.video.frame import VideoFrame
from prometheus_client import REGISTRY

from appliance.cli import main
from appliance.contracts.errors import ConfigError
from appliance.runtime.settings import TranscodeSettings
from edge.transcode.engines import catalogue, probe
from edge.transcode.engines.base import Encoded, EngineError, RungFormat
from edge.transcode.engines.choice import SelfTest, choose, to_test, wanted
from edge.transcode.engines.hardware import AMF, NVENC, QSV, HardwareEncoder, HardwareEngine
from edge.transcode.engines.lineup import Candidate, Lineup
from edge.transcode.engines.selftest import self_test
from edge.transcode.engines.x264 import X264

_FAILED = "nearcast_transcode_engine_failures_total"
FORM = RungFormat(160, 90, 200_000, (30, 1), "ultrafast")


def found(**usable: bool) -> dict[str, SelfTest]:
    return {name: SelfTest(engine=name, usable=said) for name, said in usable.items()}


def test_auto_is_hardware_first_and_x264_last() -> None:
    names = wanted(TranscodeSettings().engines)
    assert names == ("nvenc", "qsv", "amf", "vaapi", "x264")
    assert to_test(names) == names[:-1]
    assert choose(names, found(nvenc=False, qsv=True, amf=False, vaapi=True)) == ("qsv", "vaapi", "x264")
    assert choose(names, found(nvenc=False, qsv=False, amf=False, vaapi=False)) == ("x264",)


def test_a_setting_is_taken_by_its_word() -> None:
    assert wanted(["vaapi", "nvenc", "vaapi"]) == ("vaapi", "nvenc")
    assert choose(("vaapi", "nvenc"), found(vaapi=True, nvenc=True)) == ("vaapi", "nvenc")
    assert wanted(["x264-child", "auto"])[0] == "x264-child"
    assert choose(("x264", "nvenc"), found(nvenc=True)) == ("x264", "nvenc")
    assert wanted([]) == ("x264",)


def test_x264_when_nothing_that_was_asked_for_works() -> None:
    assert choose(("nvenc",), found(nvenc=False)) == ("x264",)


def test_an_unknown_engine_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"nvec in .* did you mean nvenc"):
        wanted(["x264", "nvec"])
    with pytest.raises(ConfigError, match="there are auto, nvenc"):
        wanted(["zzzzzz"])


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os; os.kill(os.getpid(), 11)", "SIGSEGV: the driver crashed"),
        ("import time; time.sleep(60)", "no answer within 0.3 s"),
        ("raise RuntimeError('cannot load libcuda.so')", "RuntimeError: cannot load libcuda.so"),
        ("print('nonsense')", "ended with code 0"),
    ],
)
def test_a_self_test_that_ends_badly_is_a_reason(program: str, reason: str) -> None:
    test = probe.run_test("nvenc", [sys.executable, "-S", "-c", program], 0.3 if "sleep" in program else 10.0)
    assert not test.usable
    assert reason in test.reason


def test_x264_passes_its_own_self_test() -> None:
    test = self_test("x264")
    assert (test.usable, test.reason) == (True, "")
    assert test.frames_per_s > 0


class _Late(X264):
    """Keeps its promise too late."""

    def encode(self, frame: VideoFrame, key: bool, sample_aspect: tuple[int, int]) -> list[Encoded]:
        super().encode(frame, key, sample_aspect)
        return []


class _Keyless(X264):
    """Hears no demand."""

    def encode(self, frame: VideoFrame, key: bool, sample_aspect: tuple[int, int]) -> list[Encoded]:
        return super().encode(frame, False, sample_aspect)


@pytest.mark.parametrize(("engine", "reason"), [(_Late, "frames late"), (_Keyless, "IDR at frames")])
def test_an_engine_that_breaks_its_promise(
    engine: type[X264], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalogue.ENGINES, "broken", catalogue.Entry(engine, lambda: ""))
    assert reason in self_test("broken").reason


def test_without_devices_no_child_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nvenc", "qsv", "amf", "vaapi"):
        monkeypatch.setitem(
            catalogue.ENGINES, name, catalogue.ENGINES[name]._replace(obstacle=lambda: "there is no device")
        )
    monkeypatch.setattr(probe, "run_test", lambda *_: pytest.fail("a child was started"))
    tests = probe.SelfTests()
    assert probe.usable_engines(("auto",), tests) == ("x264",)
    assert tests.of(["nvenc"])["nvenc"].reason == "there is no device"


@pytest.mark.parametrize("encoder", [NVENC, QSV, AMF], ids=lambda encoder: encoder.codec)
def test_every_option_exists(encoder: HardwareEncoder) -> None:
    """A driver is not needed for that: the encoder's options are in the library."""
    context = av.CodecContext.create(encoder.codec, "w")
    said = context.supported_options
    known = {option.name for option in (*said.generic, *said.private)}
    assert {*encoder.options, "maxrate", "bufsize", "rc_init_occupancy"} <= known


@pytest.mark.parametrize(
    ("vendors", "obstacle"),
    [
        ({}, "there is no graphics device"),
        ({"renderD128": "0x8086"}, ""),
        ({"renderD128": "0x1002"}, "no graphics device is of the maker"),
        ({"renderD128": "0x1002", "renderD129": "0x8086"}, ""),
        ({"renderD128": ""}, ""),
    ],
)
def test_the_maker_of_a_graphics_device_decides_what_is_tried(
    vendors: dict[str, str], obstacle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "_DRI", tmp_path / "dri")
    monkeypatch.setattr(catalogue, "_SYS", tmp_path / "sys")
    (tmp_path / "dri").mkdir()
    for node, vendor in vendors.items():
        (tmp_path / "dri" / node).touch()
        if vendor:
            (tmp_path / "sys" / node / "device").mkdir(parents=True)
            (tmp_path / "sys" / node / "device" / "vendor").write_text(vendor + "\n")
    assert catalogue._no_graphics("0x8086").startswith(obstacle)
    assert bool(catalogue._no_graphics("0x8086")) == bool(obstacle)


def test_hardware_that_is_not_there_is_refused() -> None:
    if not catalogue.ENGINES["nvenc"].obstacle():
        pytest.skip("this machine has an NVIDIA device")
    with pytest.raises(EngineError, match="h264_nvenc does not open"):
        HardwareEngine(NVENC, FORM)


def test_a_line_up_passes_over_what_does_not_open() -> None:
    def refuse(_: RungFormat) -> X264:
        raise EngineError("no session is free")

    before = REGISTRY.get_sample_value(_FAILED, {"engine": "first"}) or 0
    lineup = Lineup(FORM, [Candidate("first", refuse), Candidate("x264", X264)])
    assert isinstance(lineup.open(), X264)
    assert REGISTRY.get_sample_value(_FAILED, {"engine": "first"}) == before + 1
    assert lineup.name == "x264"
    with pytest.raises(EngineError, match="broken"):
        lineup.replace(EngineError("broken"))
    with pytest.raises(EngineError, match="no session"):
        Lineup(FORM, [Candidate("first", refuse)]).open()


def test_the_doctor_prints_what_the_probe_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "encoders", "--engine", "x264", "--json"]) == 0
    [said] = json.loads(capsys.readouterr().out)
    assert (said["engine"], said["usable"], said["reason"]) == ("x264", True, "")
    assert main(["doctor", "encoders", "--engine", "x246"]) == 2
    assert "did you mean x264" in capsys.readouterr().err
