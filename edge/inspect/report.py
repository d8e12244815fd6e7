"""What a watch found, as text for people and as a document for programs."""

from typing import Any

from edge.inspect.catalogue import Level
from edge.inspect.observations import Violation
from edge.inspect.prober import Result


def failed(result: Result) -> bool:
    """Whether something was found that has to be put right: a MUST, or what players fail at."""
    return bool(result.inspection.findings.of(Level.MUST) or result.inspection.findings.of(Level.PLAYER))


def document(url: str, result: Result) -> dict[str, Any]:
    """The document of --json. Times are seconds since the watch began."""
    findings = result.inspection.findings
    return {
        "url": url,
        "seconds": round(result.seconds, 2),
        "violated": {level.value: len(findings.of(level)) for level in Level},
        "violations": [_violation(one) for level in Level for one in findings.of(level)],
        "renditions": [
            {
                "url": state.url,
                "kind": state.kind,
                "playlists": state.playlists,
                "segments": state.segments_read,
                "parts": state.parts_read,
                "media_bytes": state.media_bytes,
                "low_latency": state.text is not None and state.text.low_latency,
                "live": state.text is not None and state.text.live,
            }
            for state in result.inspection.renditions.values()
        ],
        "left_out": result.left_out,
    }


def _violation(violation: Violation) -> dict[str, Any]:
    requirement = violation.requirement
    return {
        "name": requirement.name,
        "level": requirement.level.value,
        "clause": requirement.clause,
        "sentence": requirement.sentence,
        "count": violation.count,
        "first_s": round(violation.first, 3),
        "last_s": round(violation.last, 3),
        "evidence": [
            {"url": one.url, "line": one.line, "value": one.value, "at_s": round(one.at, 3)}
            for one in violation.evidence
        ],
    }


def text(result: Result) -> str:
    """What a person reads."""
    lines = [
        f"{state.kind} {state.url}: {state.playlists} playlists, {state.segments_read} segments and "
        f"{state.parts_read} parts looked into, {state.media_bytes / 1e6:.1f} MB"
        for state in result.inspection.renditions.values()
    ]
    for level in Level:
        violations = result.inspection.findings.of(level)
        lines.append(f"\n{level.value}: {len(violations) or 'none'} violated")
        lines += [line for violation in violations for line in _lines(violation)]
    if result.left_out:
        lines.append(f"\n{result.left_out} segments, parts or playlists were left out: too many, or too large")
    return "\n".join(lines)


def _lines(violation: Violation) -> list[str]:
    requirement = violation.requirement
    span = f"at {violation.first:.1f} s"
    if violation.count > 1:
        span = f"{violation.count} times, {violation.first:.1f} to {violation.last:.1f} s"
    found = [f"  {requirement.name} ({requirement.clause}), {span}", f"    {requirement.sentence}"]
    for one in violation.evidence:
        where = f"{one.url}{f', line {one.line}' if one.line else ''}"
        found.append(f"    - {where}: {one.value}")
    return found
