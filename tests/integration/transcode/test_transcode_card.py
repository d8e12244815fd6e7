"""A broadcast on a real log whose pictures stay on a card, or a stand-in for one, until they are encoded."""

import asyncio
from functools import partial

import pytest

from appliance.runtime.settings import MediaSettings, TranscodeSettings
from edge.transcode import service as module
from edge.transcode.engines import catalogue
from edge.transcode.engines.hardware import HardwareEngine
from edge.transcode.service import TranscodeService
from tests.integration.transcode.test_transcode_service import Site, live, site  # noqa: F401 - a fixture
from tests.integration.transcode.transcode_site import h264_record
from tests.unit.transcode.encoded_sources import FRAME, chunks_of, picture_source
from tests.unit.transcode.stand_in_card import ENCODER, StandInCard

GOP, SEGMENTS = 30, 4
RUNGS = ("360p", "160p")


@pytest.mark.parametrize(
    ("setting", "passes", "opened"),
    [(True, True, [(360, True), (160, True)]), (True, False, []), (False, True, [])],
)
async def test_a_card_that_passed_decodes_for_its_encoders_where_the_setting_allows_it(
    site: Site,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
    setting: bool,
    passes: bool,
    opened: list[tuple[int, bool]],
) -> None:
    card = StandInCard()
    entry = catalogue.ENGINES["nvenc"]._replace(make=partial(HardwareEngine, ENCODER))
    monkeypatch.setitem(catalogue.ENGINES, "nvenc", entry)
    monkeypatch.setattr(module, "usable_engines", lambda *_: ("nvenc", "x264"))
    monkeypatch.setattr(module, "passes_zero_copy", lambda *_: passes)
    monkeypatch.setattr(module, "NVDEC", card.card())
    source = await asyncio.to_thread(picture_source, "libx264", SEGMENTS * GOP, GOP, (640, 480))
    chunks = chunks_of(source.samples, source.form, segments=[msn * GOP for msn in range(SEGMENTS)])
    await site.put(h264_record(source, 640, 480))
    await site.put(live(ladder=list(RUNGS)))
    service = TranscodeService(TranscodeSettings(zero_copy=setting), MediaSettings(), site.bus, 0)
    await service.start()
    await site.append("source", [one for one in chunks if one.header.msn == 0])
    for name in RUNGS:
        await site.read(name, 0)  # later the transcoder would begin at the newest segment
    await site.append("source", [one for one in chunks if one.header.msn])
    for name in RUNGS:
        made = await site.read(name, SEGMENTS * GOP / 30)
        assert [one.dts // FRAME for _, samples in made for one in samples] == list(range(SEGMENTS * GOP))
    await service.stop()
    assert card.opened() == opened
