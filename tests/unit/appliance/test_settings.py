"""Settings: defaults, file, environment, and errors that name what is wrong."""

import dataclasses
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contracts.errors import ConfigError
from appliance.runtime.settings import Settings, load, replace, to_toml, with_port_base


def written(folder: Path, text: str) -> Path:
    path = folder / "nearcast.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_without_any_source():
    assert load(None, {}) == Settings()


def test_environment_wins_over_the_file(tmp_path):
    path = written(tmp_path, "[ingest]\ngrace_s = 5\nidle_s = 7.5\n")
    settings = load(path, {"NEARCAST__INGEST__GRACE_S": "9", "OTHER": "x"})
    assert settings.ingest.grace_s == 9.0
    assert settings.ingest.idle_s == 7.5
    assert isinstance(load(path, {}).ingest.grace_s, float)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[ingest]\ngrace = 5\n", "unknown setting ingest.grace, did you mean ingest.grace_s?"),
        ("[ingst]\ngrace_s = 5\n", "unknown setting ingst, did you mean ingest?"),
        ("[zzz]\n", "unknown setting zzz"),
        ("ingest = 5\n", "ingest: expected a table of settings"),
        ('[ingest]\ngrace_s = "soon"\n', "ingest.grace_s: expected float, got 'soon'"),
        ("[ports]\nhttp = 80.5\n", "ports.http: expected int, got 80.5"),
        ("[ports]\nhttp = true\n", "ports.http: expected int, got True"),
        ("[transcode]\nenabled = 1\n", "transcode.enabled: expected bool, got 1"),
        ("[origin]\nworkers = -1\n", "origin.workers: must not be negative"),
    ],
)
def test_wrong_files_are_refused_by_name(tmp_path, text, said):
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, text), {})
    assert refused.value.detail == said


@pytest.mark.parametrize("content", [b"[ingest\n", b"\xff\xfe"])
def test_files_that_are_no_toml(tmp_path, content):
    path = tmp_path / "nearcast.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=str(path)):
        load(path, {})


def test_absent_file(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        load(tmp_path / "nowhere.toml", {})


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("TRUE", True), ("0", False), ("no", False)])
def test_switches_from_the_environment(text, value):
    assert load(None, {"NEARCAST__TRANSCODE__ENABLED": text}).transcode.enabled is value


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("NEARCAST__TRANSCODE__ENABLED", "maybe", "NEARCAST__TRANSCODE__ENABLED: 'maybe' is not bool"),
        ("NEARCAST__PORTS__HTTP", "web", "NEARCAST__PORTS__HTTP: 'web' is not int"),
        ("NEARCAST__PORTS", "1", "NEARCAST__PORTS: expected NEARCAST__SECTION__KEY"),
        ("NEARCAST__PORTS__HTPP", "1", "unknown setting ports.htpp, did you mean ports.http?"),
        ("NEARCAST__PROTS__HTTP", "1", "unknown setting prots, did you mean ports?"),
    ],
)
def test_wrong_environment_is_refused_by_name(name, text, said):
    with pytest.raises(ConfigError) as refused:
        load(None, {name: text})
    assert refused.value.detail == said


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=60), st.integers(0, 10**9))
def test_written_settings_are_read_back(text, number):
    settings = replace(Settings(), {"node": {"edge_id": text}, "media": {"log_bytes": number}})
    assert replace(Settings(), tomllib.loads(to_toml(settings))) == settings
    assert replace(Settings(), tomllib.loads(to_toml(settings, documented=True))) == settings


def test_secrets_are_hidden_unless_revealed():
    settings = replace(Settings(), {"coordinator": {"dsn": "postgresql://u:hunter2@x/y"}})
    assert "hunter2" not in to_toml(settings, reveal=False)
    assert "hunter2" in to_toml(settings)


def test_every_leaf_says_what_it_is():
    for section in dataclasses.fields(Settings):
        for leaf in dataclasses.fields(getattr(Settings(), section.name)):
            assert leaf.metadata["unit"], leaf.name
            assert leaf.metadata["doc"].endswith("."), leaf.name


def test_a_text_that_is_no_choice_is_refused_with_a_suggestion():
    assert replace(Settings(), {"transcode": {"rungs": ["720p"]}}).transcode.rungs == ("720p",)
    with pytest.raises(ConfigError, match="did you mean 720p"):
        replace(Settings(), {"transcode": {"rungs": ["360p", "720"]}})
    with pytest.raises(ConfigError, match="there are 1080p, 720p"):
        replace(Settings(), {"transcode": {"partner_rungs": ["xyz"]}})


def test_port_base_counts_up_in_the_published_order():
    ports = with_port_base(Settings(), 20_000).ports
    assert (ports.http, ports.https, ports.rtmp, ports.rtmps, ports.webrtc) == (
        20_000,
        20_001,
        20_002,
        20_003,
        20_004,
    )
    assert (ports.irc, ports.ircs, ports.api, ports.nats) == (20_005, 20_006, 20_007, 20_008)
    assert (ports.nats_leaf, ports.metrics) == (20_009, 20_010)


@pytest.mark.parametrize("base", [0, -5, 65_530])
def test_port_base_without_room(base):
    with pytest.raises(ConfigError):
        with_port_base(Settings(), base)
