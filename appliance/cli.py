"""The command line. Reads arguments, calls one command, maps typed errors to exit codes."""

import argparse
import dataclasses
from pathlib import Path

from appliance import VERSION
from appliance.commands import capture, channel, config, status
from appliance.commands.doctor import doctor, encoders
from appliance.commands.inspect import inspect
from appliance.commands.place import data_directory, node_settings, say
from appliance.commands.up import UpOptions, up
from appliance.contracts.directory import Access, Profile
from appliance.contracts.errors import ConfigError, ConflictError, NearcastError
from appliance.contracts.session import CaptureRequest
from appliance.runtime.settings import Settings, with_port_base

FAILED, WRONG_USAGE = 1, 2


def main(argv: list[str]) -> int:
    """Runs one command; the exit code: 0 done, 1 failed, 2 wrong usage, 3 not ready in time."""
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except (ConfigError, ConflictError) as error:
        say(f"nearcast: {error.detail}")
        return WRONG_USAGE if isinstance(error, ConfigError) and error.detail.startswith("unknown") else FAILED
    except NearcastError as error:
        say(f"nearcast: {error.detail}")
        return FAILED
    except OSError as error:  # a folder that is closed, read-only or full, or no folder at all
        where = f"{error.filename}: " if error.filename is not None else ""
        say(f"nearcast: {where}{error.strerror or error}")
        return FAILED
    except KeyboardInterrupt:
        return FAILED


def _run(arguments: argparse.Namespace) -> int:
    data = data_directory(arguments.data)
    match arguments.command:
        case "up" | "demo":
            options = UpOptions(arguments.command == "demo", arguments.detach, False)
            return up(data, _settings(data, arguments), options)
        case "status" | "stop" | "restart" | "logs":
            return _running(data, arguments)
        case "channel":
            return _channel(data, arguments)
        case "capture":
            limit = int(arguments.max_mb * (1 << 20))
            wanted = CaptureRequest(channel=arguments.channel, seconds=arguments.seconds, max_bytes=limit)
            return capture.capture(data, wanted, arguments.json)
        case "config":
            return _config(data, arguments)
        case _:
            return _looked_into(data, arguments)


def _running(data: Path, arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "status":
            return status.status(data, arguments.json)
        case "stop":
            return status.stop(data)
        case "restart":
            return status.restart(data, arguments.role, arguments.json)
        case _:
            return status.logs(data, arguments.role, arguments.lines, arguments.follow)


def _looked_into(data: Path, arguments: argparse.Namespace) -> int:
    if arguments.command == "inspect":
        return _inspect(arguments)
    if arguments.what == "encoders":
        return encoders(arguments.engine, arguments.json)
    return doctor(_settings(data, arguments), arguments.json)


def _inspect(arguments: argparse.Namespace) -> int:
    flags = [f"--{name}" for name in ("json", "insecure", "list") if getattr(arguments, name)]
    url = ["--", arguments.url] if arguments.url is not None else []
    return inspect([f"--seconds={arguments.seconds}", *flags, *url])


def _channel(data: Path, arguments: argparse.Namespace) -> int:
    match arguments.action:
        case "create":
            return channel.create(data, arguments.name, arguments.json)
        case "set":
            names = ("title", "category", "profile", "access", "partner", "suspended")
            wanted = {name: value for name in names if (value := getattr(arguments, name)) is not None}
            return channel.change(data, arguments.name, wanted, arguments.json)
        case "rotate-key":
            return channel.rotate_key(data, arguments.name, arguments.json)
        case "keys":
            return channel.list_keys(data, arguments.name, arguments.json)
        case "add-key":
            options = channel.KeyOptions(arguments.label, arguments.standby, arguments.days)
            return channel.add_key(data, arguments.name, options, arguments.json)
        case "revoke-key":
            return channel.revoke_key(data, arguments.name, arguments.key_id, arguments.json)
        case _:
            return channel.list_all(data, arguments.json)


def _config(data: Path, arguments: argparse.Namespace) -> int:
    if arguments.action == "check":
        return config.check(data, arguments.config)
    return config.show(data, arguments.config, arguments.reveal)


def _settings(data: Path, arguments: argparse.Namespace) -> Settings:
    settings = node_settings(data, arguments.config)
    if arguments.port_base is not None:
        settings = with_port_base(settings, arguments.port_base)
    if arguments.host is not None:
        settings = dataclasses.replace(settings, node=dataclasses.replace(settings.node, host=arguments.host))
    if getattr(arguments, "no_tls", False):
        settings = dataclasses.replace(settings, tls=dataclasses.replace(settings.tls, enabled=False))
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nearcast", description="Live streaming that lives near its viewers.")
    parser.add_argument("--version", action="version", version=f"nearcast {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("up", "run coordinator and edge with embedded servers"),
        ("demo", "the same with a synthetic streamer and chatters"),
        ("doctor", "look for what is wrong with this machine"),
    ):
        command = _command(commands, name, text)
        command.add_argument("--host", help="address that encoders and viewers reach (default 127.0.0.1)")
        command.add_argument("--port-base", type=int, metavar="N", help="use ports N, N+1, ...")
        command.add_argument("--config", help="settings file (default nearcast.toml in the data directory)")
        if name == "doctor":
            command.add_argument("what", nargs="?", choices=("encoders",), help="try the video encoders instead")
            command.add_argument("--engine", action="append", metavar="NAME", help="this encoder only")
            command.add_argument("--json", action="store_true", help="one JSON document on standard output")
        else:
            command.add_argument("--detach", action="store_true", help="return when ready")
            command.add_argument("--no-tls", action="store_true", help="plain connections only")
    _command(commands, "status", "state of every role").add_argument("--json", action="store_true")
    _command(commands, "stop", "stop the node")
    again = _command(commands, "restart", "start roles again, one after the other; viewers notice nothing")
    again.add_argument("role", nargs="*", help="these only (default: all roles, not the servers below them)")
    again.add_argument("--json", action="store_true", help="one JSON document on standard output")
    logs = _command(commands, "logs", "what the roles wrote")
    logs.add_argument("role", nargs="?", help="one role only")
    logs.add_argument("-n", "--lines", type=int, default=50)
    logs.add_argument("-f", "--follow", action="store_true")
    captured = _command(commands, "capture", "keep what a channel's encoder sends in a file")
    captured.add_argument("channel")
    captured.add_argument("--seconds", type=float, default=30.0)
    captured.add_argument("--max-mb", type=float, default=64.0)
    captured.add_argument("--json", action="store_true", help="one JSON document on standard output")
    _channel_parser(_command(commands, "channel", "channels and stream keys"))
    _inspect_parser(_command(commands, "inspect", "which requirements of HLS a server violates"))
    settings = _command(commands, "config", "settings")
    settings.add_argument("action", choices=("show", "check"))
    settings.add_argument("--config", help="settings file")
    settings.add_argument("--reveal", action="store_true", help="show secrets")
    return parser


def _inspect_parser(command: argparse.ArgumentParser) -> None:
    command.description = "Watches a live or recorded presentation on any server as a low-latency player does."
    command.epilog = (
        "Exit code: 0 clean, 1 a MUST or PLAYER requirement is violated, 2 wrong usage, 3 not reachable."
    )
    command.add_argument("url", nargs="?", help="of a multivariant or media playlist")
    command.add_argument("--seconds", type=float, default=30.0, metavar="N", help="how long it is watched (30)")
    command.add_argument("--json", action="store_true", help="one JSON document on standard output")
    command.add_argument("--insecure", action="store_true", help="take the server's certificate as it is")
    command.add_argument("--list", action="store_true", help="print every requirement that is checked")


def _channel_parser(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True)
    for action, text in (
        ("create", "make a channel with its first stream key"),
        ("list", "channels by name"),
        ("set", "change what is given of a channel"),
        ("rotate-key", "replace every stream key by a new one"),
        ("keys", "the valid stream keys"),
        ("add-key", "one more stream key"),
        ("revoke-key", "end a stream key"),
    ):
        parser = actions.add_parser(action, help=text, description=text)
        if action != "list":
            parser.add_argument("name")
        if action == "add-key":
            parser.add_argument("--label", default="", help="what it is for")
            parser.add_argument("--standby", action="store_true", help="its encoder waits behind the other one")
            parser.add_argument("--days", type=int, default=0, help="days until it ends, 0 for never")
        elif action == "revoke-key":
            parser.add_argument("key_id")
        elif action == "set":
            _channel_fields(parser)
        parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
        parser.add_argument("--data", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def _channel_fields(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--title")
    parser.add_argument("--category")
    parser.add_argument("--profile", choices=[one.value for one in Profile], help="what its rungs are made for")
    parser.add_argument("--access", choices=[one.value for one in Access], help="who may watch")
    yes_or_no = argparse.BooleanOptionalAction
    parser.add_argument("--partner", action=yes_or_no, help="more rungs, kept longest when capacity is short")
    parser.add_argument("--suspended", action=yes_or_no, help="may not broadcast")


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.add_argument("--data", metavar="DIR", help="the node's data directory")
    return command
