"""The spool on disk: what the index says can be read, whatever happened to its writer."""

import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorder_chunks import PDT_US, finished

from appliance.contracts.errors import BadInputError
from appliance.contracts.spool import INDEX, SegmentFlag, SpooledSegment, read_index, volume_name
from edge.recorder.spool import Spool
from edge.recorder.volumes import RenditionVolumes

DAY_US = 86_400_000_000


def stored(folder):
    """The index as a reader sees it, each with its bytes."""
    segments, _ = read_index((folder / INDEX).read_bytes())
    return {
        one.msn: (folder / volume_name(one.volume)).read_bytes()[one.offset : one.offset + one.size]
        for one in segments
    }


def body(msn):
    return f"<{msn}.0.0><{msn}.1.0>".encode()


lines = st.builds(
    SpooledSegment,
    *(st.integers(0, 2**40) for _ in range(4)),
    st.integers(0, 2**60),
    st.integers(-1, 99),
    st.builds(SegmentFlag, st.integers(0, 7)),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**40),
    *(st.integers(0, 2**31 - 1) for _ in range(2)),
)


@given(lines)
def test_a_line_is_read_back_equal(segment):
    assert SpooledSegment.decode(segment.encode()) == segment


@given(st.text())
def test_other_lines_are_refused(text):
    try:
        SpooledSegment.decode(text)
    except BadInputError:
        return


@given(st.lists(lines, max_size=5, unique_by=lambda one: one.msn), st.integers(0, 30))
def test_an_index_is_read_as_far_as_it_is_whole(segments, cut):
    segments.sort(key=lambda one: one.msn)
    data = "".join(one.encode() for one in segments).encode()
    found, read = read_index(data[: len(data) - cut] if cut else data)
    assert found == segments[: len(found)]
    assert data[:read] == "".join(one.encode() for one in found).encode()
    if not cut:
        assert found == segments


def test_segments_are_read_back(tmp_path):
    volumes = RenditionVolumes(tmp_path)
    volumes.write(finished(1, 2))
    volumes.write(finished(3))
    assert stored(tmp_path) == {msn: body(msn) for msn in (1, 2, 3)}
    assert RenditionVolumes(tmp_path).last_msn == 3


def test_a_successor_goes_on_behind_what_is_whole(tmp_path):
    RenditionVolumes(tmp_path).write(finished(1, 2))
    with (tmp_path / volume_name(0)).open("ab") as volume:
        volume.write(b"half of a segment")
    with (tmp_path / INDEX).open("ab") as index:
        index.write(b"3 0 6 20")
    volumes = RenditionVolumes(tmp_path)
    assert volumes.last_msn == 2
    volumes.write(finished(3))
    assert stored(tmp_path) == {msn: body(msn) for msn in (1, 2, 3)}


def test_lines_whose_bytes_a_power_cut_took_are_forgotten(tmp_path):
    RenditionVolumes(tmp_path).write(finished(1, 2, 3))
    os.truncate(tmp_path / volume_name(0), 2 * len(body(1)) + 3)
    assert RenditionVolumes(tmp_path).last_msn == 2
    assert list(stored(tmp_path)) == [1, 2]


def test_a_volume_is_closed_in_time_and_goes_as_a_whole(tmp_path):
    volumes = RenditionVolumes(tmp_path)
    volumes.write(finished(*range(80)))
    assert [file.name for file in sorted(tmp_path.glob("*.m4s"))] == ["0.m4s", "1.m4s", "2.m4s"]
    identity = (tmp_path / INDEX).stat().st_ino
    assert volumes.drop_oldest() == sum(len(body(msn)) for msn in range(32))
    assert (tmp_path / INDEX).stat().st_ino != identity, "a reader sees that the index is another one"
    assert stored(tmp_path) == {msn: body(msn) for msn in range(32, 80)}
    volumes.drop_oldest()
    assert volumes.drop_oldest() == 0, "the volume that is written stays"
    assert list(stored(tmp_path)) == list(range(64, 80))


def test_a_segment_on_disk_takes_hardly_any_memory(tmp_path):
    volumes = RenditionVolumes(tmp_path)
    segments = finished(*range(2000))
    volumes.write(segments[:100])
    tracemalloc.start()
    try:
        volumes.write(segments[100:])
        assert tracemalloc.get_traced_memory()[0] < 1900 * 30
    finally:
        tracemalloc.stop()


def test_the_index_keeps_its_lines_when_the_oldest_go(tmp_path):
    RenditionVolumes(tmp_path).write(finished(*range(70)))
    index = tmp_path / INDEX
    index.write_bytes(index.read_bytes().replace(b"5 0 ", b"0005  0 ", 1))  # the same to whoever reads it
    volumes = RenditionVolumes(tmp_path)
    volumes.write(finished(70))
    volumes.drop_oldest()
    volumes.drop_oldest()
    assert stored(tmp_path) == {msn: body(msn) for msn in range(64, 71)}
    assert volumes.held_bytes == sum(len(body(msn)) for msn in range(64, 71))
    assert RenditionVolumes(tmp_path).held_bytes == volumes.held_bytes


def spool(folder, keep_s=3600.0, most_bytes=1 << 30, spare_bytes=0):
    made = Spool(folder, keep_s, most_bytes, spare_bytes)
    made.open(["b1", "b2"])
    return made


def test_what_is_too_old_goes(tmp_path):
    kept = spool(tmp_path, keep_s=60)
    kept.write({("b1", "source"): finished(*range(80))})
    assert kept.trim(PDT_US + 31 * 2_000_000 + 60_000_000) == 0
    assert next(iter(stored(tmp_path / "b1/source"))) == 0
    assert kept.trim(PDT_US + 31 * 2_000_000 + 60_000_001) == 0
    assert next(iter(stored(tmp_path / "b1/source"))) == 32


def test_the_oldest_of_all_goes_when_it_is_too_much(tmp_path):
    kept = spool(tmp_path, most_bytes=1200)
    kept.write({("b1", "source"): finished(*range(40)), ("b2", "source"): finished(*range(20, 60))})
    before = kept.held_bytes
    assert kept.trim(PDT_US) == 1
    assert kept.held_bytes < before
    assert next(iter(stored(tmp_path / "b1/source"))) == 32, "the older one"
    assert next(iter(stored(tmp_path / "b2/source"))) == 20


def test_room_is_left_on_the_disk(tmp_path):
    kept = spool(tmp_path, spare_bytes=1 << 60)
    kept.write({("b1", "source"): finished(*range(70))})
    assert kept.trim(PDT_US) == 2
    assert list(stored(tmp_path / "b1/source")) == list(range(64, 70))


def test_what_nobody_knows_any_more_is_removed_at_the_start(tmp_path):
    spool(tmp_path).write({("b1", "source"): finished(1), ("b2", "source"): finished(4)})
    again = Spool(tmp_path, 3600, 1 << 30, 0)
    assert again.open(["b2"]) == {("b2", "source"): 4}
    assert not (tmp_path / "b1").exists()
    again.remove("b2")
    assert list(tmp_path.iterdir()) == []


def test_a_segment_that_is_written_again_is_kept_once(tmp_path):
    kept = spool(tmp_path)
    kept.write({("b1", "source"): finished(1, 2)})
    kept.write({("b1", "source"): finished(1, 2, 3)})
    assert stored(tmp_path / "b1/source") == {msn: body(msn) for msn in (1, 2, 3)}


def test_after_a_failure_the_disk_is_read_again(tmp_path):
    kept = spool(tmp_path)
    kept.write({("b1", "source"): finished(1)})
    (tmp_path / "b1/source" / volume_name(0)).rename(tmp_path / "away")
    (tmp_path / "b1/source" / volume_name(0)).mkdir()
    with pytest.raises(OSError, match="directory"):
        kept.write({("b1", "source"): finished(2)})
    (tmp_path / "b1/source" / volume_name(0)).rmdir()
    (tmp_path / "away").rename(tmp_path / "b1/source" / volume_name(0))
    kept.write({("b1", "source"): finished(2)})
    assert stored(tmp_path / "b1/source") == {1: body(1), 2: body(2)}


def test_after_an_index_that_is_lost_it_goes_on(tmp_path):
    kept = spool(tmp_path, keep_s=60)
    kept.write({("b1", "source"): finished(*range(70))})
    (tmp_path / "b1/source" / INDEX).unlink()
    with pytest.raises(FileNotFoundError):
        kept.trim(PDT_US + DAY_US)
    kept.write({("b1", "source"): finished(70)})
    assert stored(tmp_path / "b1/source") == {70: body(70)}
