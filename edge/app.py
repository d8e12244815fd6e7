"""Composition of the edge's roles: the only module that names concrete adapters."""

import argparse
from pathlib import Path

from appliance.runtime.role import Build, RoleContext, Service, run_role


async def _agent(context: RoleContext) -> Service:
    from edge.agent.service import AgentService  # noqa: PLC0415 - a role's process loads only its own code

    return AgentService(await context.fed(), context.settings.node.edge_id, context.fail)


ROLES: dict[str, Build] = {"agent": _agent}


def main(argv: list[str]) -> int:
    """Runs one role: `python -m edge ROLE --settings FILE [--worker N]`; the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m edge")
    parser.add_argument("role", choices=sorted(ROLES))
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--worker", type=int, default=0)
    arguments = parser.parse_args(argv)
    return run_role(arguments.role, arguments.settings, ROLES[arguments.role], arguments.worker)
