"""A delta update beside the full playlist of the same state."""

from edge.inspect.playlist import MediaText, read_media
from edge.inspect.rules import delta


def playlist(report: str, *, skipped: int = 0) -> MediaText:
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:2", "#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=12.0"]
    lines += [f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"] if skipped else []
    lines += [f"#EXTINF:2.0,\ns{msn}.m4s" for msn in range(skipped, 10)]
    return read_media("\n".join([*lines, f"#EXT-X-RENDITION-REPORT:URI={report}", ""]).encode())


def differences(before: str, after: str) -> list[str]:
    found: list[str] = []
    delta.compare(playlist(before), playlist(after, skipped=3), lambda name, line, value: found.append(value))
    return found


def test_it_may_know_more_of_other_renditions() -> None:
    assert not differences('"a.m3u8",LAST-MSN=9,LAST-PART=0', '"a.m3u8",LAST-MSN=9,LAST-PART=1')


def test_it_tells_of_the_same_renditions() -> None:
    report = ",LAST-MSN=9,LAST-PART=0"
    assert differences(f'"a.m3u8"{report}', f'"b.m3u8"{report}') == ["other reports"]
