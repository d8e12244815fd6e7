"""`python -m edge.compiled.build FOLDER PYTHON`: compiles the hot modules into FOLDER, from within the repository.

It runs in an environment of its own that has what `requirements/compile.lock` says; PYTHON is the interpreter whose
packages the sources import. Nothing is written but FOLDER and a temporary one.
"""

import sys
import tempfile
from pathlib import Path

from mypyc.build import mypycify
from setuptools import setup

from edge.compiled import MODULES, source


def main(argv: list[str]) -> None:
    """SystemExit when it cannot be done; what is wrong has been printed."""
    target, python = Path(argv[0]), argv[1]
    with tempfile.TemporaryDirectory(prefix="nearcast-compile-") as name:
        work = Path(name)
        options = ["--strict", "--python-executable", python, "--cache-dir", str(work / "cache")]
        modules = mypycify(
            [*options, *(source(module) for module in MODULES)],
            opt_level="2",
            debug_level="0",
            target_dir=str(work / "c"),
        )
        setup(
            name="nearcast-compiled",
            packages=[],
            ext_modules=modules,
            script_args=["-q", "build_ext", "--build-lib", str(target), "--build-temp", str(work / "objects")],
        )


if __name__ == "__main__":
    main(sys.argv[1:])
