"""Runs a watch of the small origin in virtual time."""

import asyncio

from inspect_origin import Fault, Options, Origin
from virtual_loop import run

from edge.inspect.catalogue import Level
from edge.inspect.prober import Result, watch


async def _watch(fault: Fault) -> Result:
    origin = Origin(fault, asyncio.get_running_loop().time())
    return await watch(origin, fault.url, fault.seconds)


def inspected(fault: Fault) -> Result:
    """What a watch of the origin with a fault finds."""
    return run(_watch(fault))


def clean(options: Options = Options(), seconds: float = 2.2) -> Fault:  # noqa: B008 - a frozen value
    """No fault at all."""
    return Fault("", options=options, seconds=seconds)


def told(result: Result) -> str:
    """Every violation with its first evidence, for the message of a failed test."""
    findings = result.inspection.findings
    return "\n".join(
        f"{one.requirement.name} x{one.count} {one.evidence[0]}" for level in Level for one in findings.of(level)
    )
