"""`config show` and `config check`."""

import sys
from pathlib import Path

from appliance.commands.place import node_settings, say
from appliance.runtime.settings import to_toml


def show(data: Path, file: str | None, reveal: bool) -> int:
    """Every setting with its value, unit and meaning, as a TOML file."""
    sys.stdout.write(to_toml(node_settings(data, file), documented=True, reveal=reveal))
    return 0


def check(data: Path, file: str | None) -> int:
    """Whether the settings can be used; ConfigError names the first that can't."""
    node_settings(data, file)
    say("settings are good")
    return 0
