"""`./nearcast check`: lint, format, types, layers, sizes. Prints one line per check; fails if any does."""

import ast
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
_OURS = ("appliance", "edge", "coordinator", "tests")
_SIZED = {".py", ".ts", ".tsx", ".css", ".sh"}


def sizes() -> list[str]:
    """Files and functions that are too long, one sentence each."""
    return [problem for path in _tracked() for problem in _too_long(path)]


def _tracked() -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        path = ROOT / name
        if path.suffix in _SIZED and path.exists():
            yield path


def _too_long(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT)
    lines = text.count("\n")
    if lines > MAX_FILE_LINES:
        yield f"{name}: {lines} lines, at most {MAX_FILE_LINES}"
    if path.suffix != ".py":
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{name}:{node.lineno}: {node.name} has {length} lines, at most {MAX_FUNCTION_LINES}"


def tasks() -> list[str]:
    """Background tasks made without an owner: failures of such tasks are lost."""
    found = []
    for path in _tracked():
        name = path.relative_to(ROOT)
        if path.suffix == ".py" and name.parts[0] in _OURS[:3] and name.as_posix() != "appliance/runtime/tasks.py":
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if "create_task(" in line:
                    found.append(f"{name}:{number}: start tasks through appliance.runtime.tasks.Tasks")
    return found


def addresses() -> list[str]:
    """Lock files name packages and hashes, never where a registry is."""
    locks = (ROOT / "requirements").glob("*.lock")
    found = [f"{path.name}: holds an address" for path in locks if "://" in path.read_text(encoding="utf-8")]
    npm = ROOT / "edge" / "web" / "package-lock.json"
    if npm.exists() and '"resolved"' in npm.read_text(encoding="utf-8"):
        found.append(f"{npm.name}: holds resolved addresses")
    return found


def _command(*argv: str) -> Callable[[], list[str]]:
    def run() -> list[str]:
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        return (done.stdout + done.stderr).splitlines() if done.returncode else []

    return run


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


CHECKS: dict[str, Callable[[], list[str]]] = {
    "lint": _command(_tool("ruff"), "check", "."),
    "format": _command(_tool("ruff"), "format", "--check", "."),
    "types": _command(_tool("mypy")),
    "layers": _command(_tool("lint-imports"), "--no-cache"),
    "sizes": sizes,
    "tasks": tasks,
    "lock files": addresses,
}


def main() -> int:
    """Runs every check."""
    failed = 0
    for name, check in CHECKS.items():
        began = time.monotonic()
        problems = check()
        failed += bool(problems)
        print(f"{'FAIL' if problems else 'ok  '} {name} ({time.monotonic() - began:.1f} s)", flush=True)
        for problem in problems:
            print(f"     {problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
