"""Each requirement of the catalogue has a fault that violates it, and a watch reports exactly that one."""

import pytest
from inspect_faults_media import FURTHER, HTTP, MEDIA, MULTIVARIANT
from inspect_faults_playlists import ACROSS, LOW_LATENCY, PLAYLISTS, RELOAD, TIMES
from inspect_origin import Options
from inspect_run import clean, inspected, told

from edge.inspect.catalogue import CATALOGUE

FAULTS = PLAYLISTS | TIMES | LOW_LATENCY | RELOAD | ACROSS | MULTIVARIANT | HTTP | MEDIA


def test_every_requirement_has_a_fault() -> None:
    assert FAULTS.keys() == CATALOGUE.keys()


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_fault_is_reported_by_its_name_only(name: str) -> None:
    result = inspected(FAULTS[name])
    assert result.inspection.findings.names == FAULTS[name].names, told(result)


@pytest.mark.parametrize("case", FURTHER)
def test_other_ways_to_violate_a_requirement(case: str) -> None:
    result = inspected(FURTHER[case])
    assert result.inspection.findings.names == FURTHER[case].names, told(result)


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(two=True, iframes=True, dateranges=True, steering=True),
        Options(ended=True, iframes=True),
        Options(low_latency=False),
    ],
    ids=["low latency", "everything", "on demand", "classic"],
)
def test_nothing_is_reported_of_a_correct_origin(options: Options) -> None:
    result = inspected(clean(options))
    assert not result.inspection.findings.names, told(result)
    assert all(state.segments_read for state in result.inspection.renditions.values())
    assert all(state.parts_read <= 21 for state in result.inspection.renditions.values()), "a part was read twice"
