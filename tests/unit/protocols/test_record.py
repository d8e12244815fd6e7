"""Values of the hot path: what they are equal to."""

from edge.protocols.fmp4 import Sample
from edge.protocols.record import Record
from edge.protocols.rtmp import AudioData, VideoData


def test_records_of_a_kind_are_equal_when_their_fields_are() -> None:
    assert VideoData(1, b"a") == VideoData(1, b"a")
    assert VideoData(1, b"a") != VideoData(2, b"a")
    assert len({VideoData(1, b"a"), VideoData(1, b"a"), VideoData(1, b"b")}) == 2


def test_records_of_two_kinds_are_not_equal() -> None:
    assert VideoData(1, b"a") != AudioData(1, b"a")
    assert VideoData(1, b"a") != (1, b"a")


def test_a_record_says_what_it_is() -> None:
    assert repr(AudioData(1, b"a")) == "AudioData(1, b'a')"
    assert isinstance(AudioData(1, b"a"), Record)


def test_a_sample_is_changed_where_it_is_said() -> None:
    sample = Sample(1, 2, 3, True, b"a")
    assert sample.replace() == sample
    assert sample.replace(dts=0, cts=0).replace(duration=0) == Sample(0, 0, 0, True, b"a")
    assert sample.replace(key=False, data=b"") == Sample(1, 2, 3, False, b"")
