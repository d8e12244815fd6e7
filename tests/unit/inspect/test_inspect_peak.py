"""The peak segment bit rate: of runs of segments that last 0.5 to 1.5 target durations."""

import pytest

from edge.inspect.multivariant import read_multivariant
from edge.inspect.rules.variants import Size, check_peak

TARGET_S = 4
TOLD = 1_000_000
SOUND = 100_000
MOST = (TOLD * 1.25 - SOUND) / 8  # bytes/s of pictures


def violates(*sizes: tuple[int, float, float], target_s: int = TARGET_S) -> bool:
    """(number, bytes/s, seconds) of each segment."""
    text = f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH={TOLD}\na.m3u8\n"
    variant = read_multivariant(text.encode()).variants[0]
    noted: list[str] = []
    given = [Size(msn, round(rate * length_s), length_s) for msn, rate, length_s in sizes]
    check_peak(variant, given, target_s, SOUND, lambda name, line, value: noted.append(name))
    return noted == ["MV-PEAK"]


@pytest.mark.parametrize(
    ("sizes", "violated"),
    [
        pytest.param([(0, 1.01 * MOST, 2.0)], True, id="a segment of half the target duration"),
        pytest.param([(0, 0.99 * MOST, 2.0)], False, id="within it"),
        pytest.param([(0, 0.3 * MOST, 2.0), (1, 3 * MOST, 0.6)], False, id="a short one counts with others"),
        pytest.param([(0, 0.3 * MOST, 2.0), (1, 3 * MOST, 1.6)], True, id="which may not be enough"),
        pytest.param([(0, 3 * MOST, 0.6), (1, 0.9 * MOST, 2.0)], True, id="or with the one behind"),
        pytest.param([(0, 3 * MOST, 0.6), (2, 0.9 * MOST, 2.0)], False, id="but not behind a gap"),
        pytest.param([(0, 3 * MOST, 0.6)], False, id="nothing is known of a short one alone"),
        pytest.param([(n, 1.2 * MOST, 1.0) for n in range(2)], True, id="two short ones"),
        pytest.param([(0, 0.2 * MOST, 4.0), (1, 1.3 * MOST, 3.0)], True, id="one is not made up for by another"),
    ],
)
def test_runs_of_half_to_one_and_a_half_target_durations(
    sizes: list[tuple[int, float, float]], violated: bool
) -> None:
    assert violates(*sizes) is violated
