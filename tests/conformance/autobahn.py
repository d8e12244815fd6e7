"""The Autobahn fuzzing client, prepared below build/ from Debian and PyPI: it speaks only Python 2.7.

Nothing is installed on the machine. The packages of Debian 11 are unpacked into a folder, the Python packages
go into a folder beside it. A second call finds both and does nothing.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "build" / "autobahn"
_SYSTEM, _SITE, _APT = HOME / "system", HOME / "site", HOME / "apt"
_READY = HOME / "ready"
_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SOURCE = "deb [signed-by={keys}] {mirror} bullseye main\n"
_DEBIAN = (
    "python2.7", "python2.7-minimal", "libpython2.7-stdlib", "libpython2.7-minimal", "libpython2.7-dev",
    "libssl1.1", "libffi7",
)  # fmt: skip
_PIP = "pip==20.3.4"
_BUILD = ("setuptools==44.1.1", "wheel==0.37.1")
_PACKAGES = (
    "txaio==2.1.0", "incremental==16.10.1", "cryptography==3.3.2", "zope.interface==4.6.0", "jinja2==2.11.3",
    "markupsafe==1.1.1", "Werkzeug==1.0.1", "klein==17.10.0", "pyOpenSSL==19.1.0", "service_identity==18.1.0",
    "unittest2==1.1.0", "six==1.16.0", "Twisted==19.10.0",
)  # fmt: skip
_FAST = "wsaccel==0.6.2"  # masks in C: hours become minutes
_LAST = ("autobahn==0.10.9", "autobahntestsuite==25.10.1")  # ask for what is no longer there: without dependencies
_STEP_S = 600
_RUN = (
    'import sys; sys.argv = ["wstest", "-m", "fuzzingclient", "-s", "fuzz.json"]\n'
    "from autobahntestsuite.wstest import run; run()\n"
)


class CannotPrepareError(Exception):
    """Which step failed, and the last lines of what it said."""


def prepare() -> None:
    """Makes the client ready below build/; needs apt, uv and a C compiler. CannotPrepareError."""
    if _READY.exists():
        return
    shutil.rmtree(HOME, ignore_errors=True)
    for folder in (_SYSTEM, _SITE):
        folder.mkdir(parents=True)
    _unpack_system()
    _install_packages()
    _READY.touch()


def _unpack_system() -> None:
    for folder in ("lists/partial", "archives/partial"):
        (_APT / folder).mkdir(parents=True)
    sources = _APT / "sources.list"
    sources.write_text(_SOURCE.format(keys=_KEYS, mirror=_mirror()))
    chosen = {
        "Dir::Etc::SourceList": sources, "Dir::Etc::SourceParts": "/dev/null", "Dir::State::Lists": _APT / "lists",
        "Dir::Cache": _APT, "APT::Sandbox::User": "root",
    }  # fmt: skip
    options = [f"-o{name}={value}" for name, value in chosen.items()]
    _step(["apt-get", *options, "update"], _APT)
    _step(["apt-get", *options, "download", *_DEBIAN], _APT)
    for package in sorted(_APT.glob("*.deb")):
        _step(["dpkg-deb", "-x", str(package), str(_SYSTEM)], _APT)


def _mirror() -> str:
    """Where this machine has its own packages from. CannotPrepareError where that is no archive of Debian."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Label: Debian"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=_STEP_S, check=False)
    if not done.stdout.strip():
        raise CannotPrepareError("apt-get knows no archive of Debian; `apt-get update` makes it look")
    return done.stdout.split()[0]


def _install_packages() -> None:
    """pip 20.3.4 is the last that speaks Python 2: it is brought by the pip or uv that is here."""
    uv = Path(sys.executable).parent / "uv"
    _step([str(uv), "pip", "install", "--quiet", "--no-deps", "--target", str(_SITE), _PIP], HOME)
    pip = [str(_SYSTEM / "usr/bin/python2.7"), "-m", "pip", "install", "--quiet", "--target", str(_SITE)]
    _step([*pip, *_BUILD], HOME)
    _step([*pip, "--no-build-isolation", *_PACKAGES], HOME)
    _step([*pip, "--no-build-isolation", "--no-deps", _FAST, *_LAST], HOME)
    (_SITE / "zope" / "__init__.py").touch()


def _environment() -> dict[str, str]:
    headers = _SYSTEM / "usr/include"
    return {
        **os.environ,
        "CC": "cc",
        "LDSHARED": "cc -shared",
        "CFLAGS": f"-O2 -fPIC -I{headers} -I{headers}/python2.7",
        "PYTHONHOME": str(_SYSTEM / "usr"),
        "PYTHONPATH": str(_SITE),
        "LD_LIBRARY_PATH": str(_SYSTEM / "usr/lib/x86_64-linux-gnu"),
        "PYTHONWARNINGS": "ignore",
    }


def _step(argv: Sequence[str], folder: Path) -> None:
    python2 = argv[0].endswith("python2.7")
    try:
        done = subprocess.run(
            argv, cwd=folder, env=_environment() if python2 else None, capture_output=True, text=True,
            timeout=_STEP_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotPrepareError(f"{argv[0]}: {error}") from error
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-12:])
        raise CannotPrepareError(f"{' '.join(argv)} ended with {done.returncode}:\n{said}")


def fuzz(folder: Path, url: str, cases: Sequence[str], seconds: float) -> dict[str, str]:
    """Runs cases such as "9.*" against an echo server; each case's verdict.

    The longest of the behaviour and of the closing's verdicts counts: OK, NON-STRICT, INFORMATIONAL are fine.
    """
    wanted = {
        "outdir": str(folder / "report"),
        "servers": [{"agent": "nearcast", "url": url}],
        "cases": list(cases),
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    (folder / "fuzz.json").write_text(json.dumps(wanted))
    python = str(_SYSTEM / "usr/bin/python2.7")
    with (folder / "client.log").open("w") as log:
        subprocess.run(
            [python, "-c", _RUN],
            cwd=folder,
            env=_environment(),
            stdout=log,
            stderr=log,
            timeout=seconds,
            check=True,
        )
    index = json.loads((folder / "report" / "index.json").read_text())
    return {case: _worst(found) for case, found in index["nearcast"].items()}


def _worst(found: dict[str, str]) -> str:
    verdicts = (found["behavior"], found["behaviorClose"])
    return next((verdict for verdict in verdicts if verdict not in ("OK", "INFORMATIONAL")), verdicts[0])


def table(verdicts: dict[str, str]) -> Iterator[str]:
    """A line per group of cases: how many of each verdict, and which cases are not OK."""
    groups: dict[str, dict[str, list[str]]] = {}
    for case, verdict in verdicts.items():
        groups.setdefault(case.partition(".")[0], {}).setdefault(verdict, []).append(case)
    for group in sorted(groups, key=int):
        found = groups[group]
        counts = ", ".join(f"{len(cases)} {verdict}" for verdict, cases in sorted(found.items()))
        others = [case for verdict, cases in found.items() if verdict != "OK" for case in cases]
        yield f"{group}.*: {counts}" + (f" ({', '.join(others)})" if others else "")
