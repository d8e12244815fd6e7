"""Automatic multitrack video: the choice of tracks as pure rules, the route as OBS asks it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contracts.media import VIDEO_TIMESCALE
from coordinator.client_configuration.encoders import encoder_type
from coordinator.client_configuration.ladder import (
    AGGREGATE,
    MAX_TRACKS,
    Track,
    choose_tracks,
    is_usable,
    rate_at,
)
from coordinator.client_configuration.models import Canvas, ConfigurationRequest, FrameRate
from coordinator.client_configuration.service import plan
from edge.media.ladder import SourceDescription, ladder_of, plan_ladder

NVIDIA, AMD, INTEL = 0x10DE, 0x1002, 0x8086


def canvas(width: int, height: int, numerator: int = 30, denominator: int = 1) -> Canvas:
    rate = FrameRate(numerator=numerator, denominator=denominator)
    return Canvas(width=width, height=height, framerate=rate)


def sizes(tracks: list[Track]) -> list[tuple[int, int, int]]:
    return [(track.width, track.height, track.rate) for track in tracks]


def asked(**fields: Any) -> ConfigurationRequest:
    return msgspec.convert(fields, ConfigurationRequest)


def posted(key: str, schema: str = "2025-01-25", **preferences: Any) -> dict[str, Any]:
    """A request with every field OBS sends."""
    shown = {"width": 1920, "height": 1080, "canvas_width": 1920, "canvas_height": 1080}
    shown["framerate"] = {"numerator": 60, "denominator": 1}
    wishes: dict[str, Any] = {
        "maximum_aggregate_bitrate": None,
        "maximum_video_tracks": None,
        "vod_track_audio": False,
        "composition_gpu_index": 0,
    }
    if schema == "2024-06-04":
        wishes |= shown
    else:
        wishes |= {"audio_samples_per_sec": 48000, "audio_channels": 2, "audio_max_buffering_ms": 960}
        wishes |= {"audio_fixed_buffering": False, "canvases": [shown]}
    return {
        "service": "IVS",
        "schema_version": schema,
        "authentication": key,
        "client": {"name": "obs-studio", "version": "31.1.0", "supported_codecs": ["h264", "av1"]},
        "capabilities": {
            "cpu": {"physical_cores": 8, "logical_cores": 16, "speed": 3000, "name": "a processor"},
            "memory": {"total": 1 << 34, "free": 1 << 33},
            "gaming_features": None,
            "system": {"version": "10", "name": "Windows", "build": 1, "release": "", "revision": "1", "bits": 64}
            | {"arm": False, "armEmulation": False},
            "gpu": [{"model": "a card", "vendor_id": NVIDIA, "device_id": 1, "dedicated_video_memory": 1 << 33}]
            if schema == "2025-01-25"
            else None,
        },
        "preferences": wishes | preferences,
    }


def test_whole_ladder_of_full_hd():
    tracks = choose_tracks(canvas(1920, 1080), AGGREGATE, MAX_TRACKS)
    assert sizes(tracks) == [(1920, 1080, 6000), (1280, 720, 3000), (854, 480, 1500), (640, 360, 800)]


def test_ladder_is_the_transcoders():
    """The edge then has nothing left to make, and its rates are the encoder's."""
    for width, height, rate in ((1920, 1080, (60, 1)), (1280, 720, (30_000, 1001)), (1080, 1920, (60, 1))):
        made = plan_ladder(width, height, rate)
        chosen = choose_tracks(canvas(width, height, *rate), AGGREGATE, MAX_TRACKS)[1:]
        assert [(rung.width, rung.height, rung.bit_rate // 1000, rung.frame_rate) for rung in made] == [
            (one.width, one.height, one.rate, (one.framerate.numerator, one.framerate.denominator))
            for one in chosen
        ]


@pytest.mark.parametrize("side", [360, 480, 720, 1080, 700, 900])
def test_rate_of_the_source_is_the_edges(side):
    made = ladder_of(SourceDescription(width=side * 16 // 9, height=side, codec="vp8"))
    assert rate_at(side) == made.rungs[0].bit_rate // 1000


def test_tracks_are_limited_by_number_largest_first():
    assert [track.height for track in choose_tracks(canvas(1920, 1080), AGGREGATE, 2)] == [1080, 720]


def test_rungs_that_do_not_fit_are_left_to_the_transcoder():
    assert [track.height for track in choose_tracks(canvas(1920, 1080), 8000, 4)] == [1080, 480]


def test_source_is_as_large_as_the_aggregate_carries():
    assert sizes(choose_tracks(canvas(1920, 1080), 4000, 4)) == [(1280, 720, 3000), (640, 360, 800)]
    assert sizes(choose_tracks(canvas(1920, 1080), 500, 4)) == [(640, 360, 500)]


def test_nothing_is_enlarged():
    assert sizes(choose_tracks(canvas(640, 360), AGGREGATE, 4)) == [(640, 360, 800)]
    assert sizes(choose_tracks(canvas(320, 180), AGGREGATE, 4)) == [(320, 180, 400)]


@given(
    st.integers(64, 8192), st.integers(64, 8192), st.integers(1, 10**6), st.integers(1, 2000),
    st.integers(-100, 10**6), st.integers(1, 10),
)  # fmt: skip
def test_any_canvas_gets_tracks_that_fit(width, height, numerator, denominator, aggregate, most):
    picture = canvas(width, height, numerator, denominator)
    assert is_usable(picture)
    tracks = choose_tracks(picture, aggregate, most)
    assert 1 <= len(tracks) <= max(1, most)
    assert sum(track.rate for track in tracks) <= max(100, aggregate)
    heights = [min(track.width, track.height) for track in tracks]
    assert heights == sorted(set(heights), reverse=True)
    for track in tracks:
        assert track.width % 2 == track.height % 2 == 0
        assert track.width <= width + 1
        assert track.height <= height + 1
        assert VIDEO_TIMESCALE * track.framerate.denominator > 0


@pytest.mark.parametrize(
    ("system", "vendor", "version", "expected"),
    [
        ("Windows", NVIDIA, "31.1.0", "obs_nvenc_h264_tex"),
        ("Windows", NVIDIA, "30.2.3", "jim_nvenc"),
        ("Linux", NVIDIA, "32.0.1-rc1", "obs_nvenc_h264_tex"),
        ("Windows", AMD, "31.0.0", "h264_texture_amf"),
        ("Windows", INTEL, "31.0.0", "obs_qsv11_v2"),
        ("Linux", INTEL, "31.0.0", "obs_x264"),
        ("Windows", 0x1234, "not a version", "obs_x264"),
    ],
)
def test_encoder_of_the_card(system, vendor, version, expected):
    capabilities = {"system": {"name": system}, "gpu": [{"vendor_id": vendor}]}
    request = asked(client={"version": version}, capabilities=capabilities)
    assert encoder_type(request) == expected
    assert plan(request)[0].type == expected


def test_processor_limits_what_x264_makes():
    assert [len(plan(asked(capabilities={"cpu": {"physical_cores": cores}}))) for cores in (2, 4, 8, 0)] == [
        1,
        2,
        4,
        4,
    ]


def test_sound_is_part_of_the_aggregate():
    rates = [one.settings["bitrate"] for one in plan(asked(preferences={"maximum_aggregate_bitrate": 6100}))]
    assert sum(rate for rate in rates if isinstance(rate, int)) <= 6100 - 160


@pytest.mark.parametrize("schema", ["2024-06-04", "2025-01-25"])
async def test_obs_is_told_what_to_send(api, schema):
    made = await api.channel("ada")
    answer = await api.post("/v1/client-configuration", posted(made["stream_key"], schema))
    assert answer.status == 200
    told = answer.body
    assert told["meta"] == {"service": "IVS", "schema_version": schema, "config_id": ""}
    assert told["status"]["result"] == "success"
    assert told["ingest_endpoints"] == [
        {"protocol": "RTMP", "url_template": f"rtmp://{edge}.example:1935/live/{{stream_key}}"}
        for edge in ("lyon", "oslo")
    ]
    videos = told["encoder_configurations"]
    assert [(one["width"], one["height"], one["settings"]["bitrate"]) for one in videos] == [
        (1920, 1080, 6000),
        (1280, 720, 3000),
        (854, 480, 1500),
        (640, 360, 800),
    ]
    assert [one["framerate"]["numerator"] for one in videos] == [60, 60, 30, 30]
    for one in videos:
        assert one["settings"]["keyint_sec"] == 2
        assert one["settings"]["rate_control"] == "CBR"
        assert one["canvas_index"] == 0
    live = {"codec": "aac", "track_id": 1, "channels": 2, "settings": {"bitrate": 160}}
    assert told["audio_configurations"] == {"live": [live], "vod": None}


async def test_wishes_of_the_streamer_are_kept(api):
    made = await api.channel("ada")
    wishes = {"maximum_video_tracks": 2, "maximum_aggregate_bitrate": 8000, "vod_track_audio": True}
    told = (await api.post("/v1/client-configuration", posted(made["stream_key"], **wishes))).body
    assert [one["height"] for one in told["encoder_configurations"]] == [1080, 480]
    assert len(told["audio_configurations"]["vod"]) == 1


async def test_key_alone_is_enough_and_may_carry_parameters(api):
    made = await api.channel("ada")
    told = (
        await api.post("/v1/client-configuration", {"authentication": f"{made['stream_key']}?bandwidthtest=true"})
    ).body
    assert told["status"]["result"] == "success"
    assert told["meta"]["schema_version"] == "2025-01-25"
    assert [one["type"] for one in told["encoder_configurations"]] == ["obs_x264"] * 4


async def test_refusals_are_words_that_obs_shows(api):
    made = await api.channel("ada")
    old = made["stream_key"]
    new = (await api.post("/v1/channels/ada/rotate-key", token=made["token"])).body["stream_key"]

    async def said(key: str, **preferences: Any) -> str:
        answer = await api.post("/v1/client-configuration", posted(key, **preferences))
        assert answer.status == 200
        assert answer.body["status"]["result"] == "error"
        assert answer.body["encoder_configurations"] == answer.body["ingest_endpoints"] == []
        assert "ada" not in str(answer.body)
        return str(answer.body["status"]["html_en_us"])

    assert "not known" in await said("nck_never")
    assert "not known" in await said("k" * 10_000)
    assert "No stream key" in await said("")
    assert "replaced" in await said(old)
    assert "canvas" in await said(new, canvases=[{"width": 0, "height": 0}])
    await api.sql("update stream_keys set expires_at = now() - interval '1 s' where revoked_at is null")
    assert "expired" in await said(new)
    await api.sql("update stream_keys set expires_at = null")
    await api.call("PATCH", "/v1/channels/ada", {"suspended": True}, token=api.operator)
    assert "suspended" in await said(new)


async def test_what_is_not_a_request_is_a_problem_document(api):
    for data in (b"[]", b"{", b'{"authentication": 5}', b'{"preferences": {"canvases": [1]}}'):
        answer = await api.call("POST", "/v1/client-configuration", data=data)
        assert answer.status == 400
        assert answer.headers["Content-Type"] == "application/problem+json"
