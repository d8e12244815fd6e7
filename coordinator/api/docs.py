"""The page at /docs: the route table for people. One file, no script, nothing fetched from elsewhere."""

from collections.abc import Sequence
from html import escape

from coordinator.api.route import Route

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:24px 16px}
h1{font-size:28px;margin:0 0 8px}h2{font-size:20px;margin:32px 0 8px;text-transform:capitalize}
table{border-collapse:collapse;width:100%;display:block;overflow-x:auto}
th,td{text-align:left;padding:8px 12px 8px 0;border-bottom:1px solid #8884;vertical-align:top}
code{font:14px/1.4 ui-monospace,monospace;white-space:nowrap}
"""
_INTRODUCTION = """
<p>Calls that change something carry <code>Authorization: Bearer TOKEN</code>. Bodies and answers are JSON.
A refusal is <code>application/problem+json</code> with a stable <code>code</code>. A <code>POST</code> takes
<code>Idempotency-Key</code>: sent again with the same body, it gives the first answer again.</p>
<p>The same as a machine reads it: <a href="/openapi.json">openapi.json</a>.</p>
"""


def page(routes: Sequence[Route], version: str) -> bytes:
    """The page, UTF-8."""
    groups: dict[str, list[Route]] = {}
    for route in routes:
        groups.setdefault(route.path.split("/")[1], []).append(route)
    tables = "".join(_table(name, found) for name, found in sorted(groups.items()))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Nearcast API</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>Nearcast API</h1><p>Version {escape(version)}</p>{_INTRODUCTION}{tables}</main></body></html>"
    ).encode()


def _table(name: str, routes: Sequence[Route]) -> str:
    rows = "".join(
        f"<tr><td><code>{route.method} {escape(route.paths[-1])}</code></td><td>{escape(route.summary)}</td>"
        f"<td>{escape(_fields(route))}</td><td>{route.status}</td>"
        f"<td>{escape(', '.join(map(str, route.all_refusals())) or 'none')}</td></tr>"
        for route in routes
    )
    return (
        f"<h2>{escape(name)}</h2><table><thead><tr><th>Call</th><th>What it does</th><th>Takes</th>"
        f"<th>Answers</th><th>Refusals</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _fields(route: Route) -> str:
    kind = route.body or route.query
    return ", ".join(getattr(kind, "__struct_fields__", ())) if kind is not None else ""
