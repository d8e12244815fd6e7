"""What the command line says when it cannot do what it was asked for: one line, never a traceback."""

import os
from pathlib import Path

import pytest

from appliance import cli
from appliance.commands import place


@pytest.mark.parametrize("command", ["up", "demo", "doctor", "status", "stop", "logs", "config show"])
def test_a_data_directory_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    data = tmp_path / "file"
    data.write_text("", encoding="utf-8")
    cli.main([*command.split(), "--data", str(data / "site")])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    if command in ("up", "demo"):
        assert said == f"nearcast: {data / 'site'}: Not a directory\n"


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setattr(Path, "home", no_home)
    assert cli.main(["status"]) == 1
    assert "--data" in capsys.readouterr().err


def test_a_node_of_somebody_else_is_not_said_to_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place.NodeLock(tmp_path)

    def closed(path: Path, *_: object) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", closed)
    for command in ("status", "stop"):
        assert cli.main([command, "--data", str(tmp_path)]) == 1
        assert "only who runs the node may ask" in capsys.readouterr().err
