"""Encoders whose stamps stand still."""

import pytest
from flv_source import audio_config, media, video_config
from test_ingest_irregular import T0, run, samples, sent

from appliance.contracts.media import AUDIO, SOURCE, VIDEO_TIMESCALE
from edge.ingest.packager import Packager, PackagerConfig
from edge.ingest.rendition import Append


@pytest.mark.parametrize("stands_still", ["both", "pictures", "sound"])
@pytest.mark.parametrize("together_ms", [1, 100])
def test_stamps_that_stand_still_are_replaced_by_when_it_came(stands_still: str, together_ms: int) -> None:
    """What came together in a read has one time of arrival."""
    packager, out = Packager(PackagerConfig()), list[Append]()
    for body in [video_config(), audio_config(), *media(20)]:
        now_us = T0 + 1000 * (body.stamp // together_ms * together_ms)
        still = stands_still == "both" or body.is_video == (stands_still == "pictures")
        take = packager.video if body.is_video else packager.audio
        out += take(0 if still else body.stamp, body.body, now_us=now_us)
    out += packager.finish(now_us=T0 + 20_000_000)
    assert list(packager.problems) == ["timestamps_still"]
    pictures = [one for one in samples(out, SOURCE) if one.dts > 4 * VIDEO_TIMESCALE]
    assert len(pictures) >= 480
    assert pictures[-1].dts / VIDEO_TIMESCALE == pytest.approx(21, abs=0.3)
    assert max(one.duration for one in pictures) < 0.12 * VIDEO_TIMESCALE
    heard = [one for one in sent(out, AUDIO) if one.dts > 4 * 48_000]
    assert len(heard) >= 780
    assert heard[-1].dts / 48_000 == pytest.approx(21, abs=0.3)


def test_a_few_equal_stamps_are_taken_as_they_are() -> None:
    packager = Packager(PackagerConfig())
    coarse = [one._replace(stamp=one.stamp // 1000 * 1000) for one in media(6)]
    run(packager, [video_config(), audio_config(), *coarse])
    assert "timestamps_still" not in packager.problems
