"""`up` and `demo`: the whole node in the foreground, or behind a `--detach` that returns when it is ready."""

import asyncio
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from appliance.commands.api import call
from appliance.commands.place import NodeLock, live_status, say
from appliance.contracts.errors import ConfigError, NearcastError
from appliance.demo.plan import demo_children
from appliance.doctor.checks import AT_START, BEFORE_START, Check
from appliance.engines.files import write_private
from appliance.runtime.limits import raise_file_limit
from appliance.runtime.logs import configure
from appliance.runtime.settings import Settings
from appliance.supervisor.bootstrap import prepare_edge, prepare_hub
from appliance.supervisor.control import Control
from appliance.supervisor.log_files import open_log
from appliance.supervisor.metrics import MetricsServer
from appliance.supervisor.plan import ROOT, Plan, control_socket, metrics_directory, prepare
from appliance.supervisor.predecessor import see_off
from appliance.supervisor.status import endpoints
from appliance.supervisor.supervisor import Supervisor

NOT_READY = 3
_DETACH_S = 90.0
FIRST_CHANNEL = "main"
DEMO_CHANNEL = "demo"
DEMO_PEOPLE = ("ana", "benji", "chloe")


@dataclasses.dataclass(frozen=True, slots=True)
class UpOptions:
    """What `up` was asked for."""

    demo: bool = False
    detach: bool = False
    as_json: bool = False


def up(data: Path, settings: Settings, options: UpOptions) -> int:
    """Runs the node until it is stopped; the process's exit code."""
    raise_file_limit()
    for line in _wrong(settings, AT_START):
        say(line)
    if options.detach:
        return _detached(data, options)
    lock = NodeLock(data)
    see_off(data, say)
    _refuse_if_broken(settings)
    metrics = metrics_directory(data)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
    plan = prepare(settings)
    (data / "logs").mkdir(exist_ok=True)
    configure(
        role="supervisor", form=settings.log.format, level="warning" if sys.stderr.isatty() else settings.log.level
    )
    try:
        return asyncio.run(_run(data, plan, options))
    except NearcastError as error:
        say(f"not started: {error.detail}")
        return NOT_READY
    finally:
        shutil.rmtree(metrics, ignore_errors=True)
        del lock


def _refuse_if_broken(settings: Settings) -> None:
    wrong = _wrong(settings, BEFORE_START)
    if wrong:
        raise ConfigError("\n".join(wrong))


def _wrong(settings: Settings, checks: tuple[Check, ...]) -> list[str]:
    findings = [finding for check in checks for finding in check(settings)]
    return [f"{finding.check}: {finding.seen}; {finding.advice}" for finding in findings if not finding.ok]


async def _run(data: Path, plan: Plan, options: UpOptions) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    supervisor = Supervisor(data, endpoints(plan.settings), hung_s=plan.settings.node.hung_s)
    control = Control(control_socket(plan.settings), supervisor.restart)
    metrics = MetricsServer(plan.settings.ports.metrics, metrics_directory(data))
    work = asyncio.ensure_future(_start(data, plan, supervisor, control, metrics, options))
    stop = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
            await stop
        say("stopping")
        return 0
    finally:
        work.cancel()
        stop.cancel()
        await control.close()
        await supervisor.stop()
        await metrics.stop()


async def _start(
    data: Path,
    plan: Plan,
    supervisor: Supervisor,
    control: Control,
    metrics: MetricsServer,
    options: UpOptions,
) -> None:
    began = time.monotonic()
    await supervisor.start_stage(plan.engines)
    await asyncio.gather(prepare_hub(plan.settings), prepare_edge(plan.settings))
    await supervisor.start_stage(plan.roles)
    await metrics.start()
    await asyncio.to_thread(first_channel, data, plan.settings, FIRST_CHANNEL)
    if options.demo:
        channel = await asyncio.to_thread(first_channel, data, plan.settings, DEMO_CHANNEL)
        people = [await asyncio.to_thread(demo_person, data, plan.settings, name) for name in DEMO_PEOPLE]
        await supervisor.start_stage(demo_children(data, plan.settings, channel, people))
    await control.start()
    supervisor.announce_ready()
    await asyncio.sleep(0)
    say(f"ready in {time.monotonic() - began:.1f} s")
    _say_welcome(data, endpoints(plan.settings), options.demo)


def first_channel(data: Path, settings: Settings, name: str) -> dict[str, Any]:
    """The channel `name`, made on the first start; its key is kept in a file only the owner can read."""
    return _kept(data, settings, f"channel-{name}", "/channels", {"name": name, "username": name})


def demo_person(data: Path, settings: Settings, name: str) -> dict[str, Any]:
    """A user of the demo's chat, made on the first start."""
    return _kept(data, settings, f"person-{name}", "/users", {"username": name})


def _kept(data: Path, settings: Settings, file: str, call_path: str, body: dict[str, str]) -> dict[str, Any]:
    path = data / "keys" / f"{file}.json"
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    made: dict[str, Any] = call(data, endpoints(settings)["api"], "POST", call_path, body, once=f"first-{file}")
    write_private(path, json.dumps(made))
    return made


def _say_welcome(data: Path, urls: dict[str, str], demo: bool) -> None:
    channel = json.loads((data / "keys" / f"channel-{FIRST_CHANNEL}.json").read_text(encoding="utf-8"))
    say("")
    if demo:
        say(f"watch       {urls['web']}{DEMO_CHANNEL}")
        say(f"playlist    {urls['hls'].replace('{channel}', DEMO_CHANNEL)}")
    say(f"viewers     {urls['web']}")
    if "web_tls" in urls:
        say(f"over TLS    {urls['web_tls']}")
    say(f"your page   {urls['web']}{FIRST_CHANNEL}")
    say(f"server      {urls['rtmp']}")
    say(f"stream key  {channel['stream_key']}")
    say(f"chat bots   {urls['irc']}")
    say("")


def _detached(data: Path, options: UpOptions) -> int:
    (data / "logs").mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "appliance", *(word for word in sys.argv[1:] if word != "--detach")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open_log(data / "logs" / "node.log") as log:
        start = log.tell()
        # It stays in this folder, from which the paths in its arguments may start.
        child = subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        return _awaited(data, options, child, start)
    except KeyboardInterrupt:  # which reaches this process only
        say("stopping")
        child.terminate()
        child.wait()
        raise


def _awaited(data: Path, options: UpOptions, child: "subprocess.Popen[bytes]", start: int) -> int:
    """Waits until the detached node is ready; the exit code. `start`: where its part of the log begins."""
    until = time.monotonic() + _DETACH_S
    while time.monotonic() < until:
        node = live_status(data)
        if node is not None and node.pid == child.pid and node.state == "ready":
            _say_welcome(data, node.endpoints, options.demo)
            return 0
        if child.poll() is not None:
            say((data / "logs" / "node.log").read_bytes()[start:].decode(errors="replace").strip())
            return child.returncode or 1
        time.sleep(0.05)
    child.terminate()
    say(f"not ready in {_DETACH_S:.0f} s; see {data / 'logs'}")
    return NOT_READY
