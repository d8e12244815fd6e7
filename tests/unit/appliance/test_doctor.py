"""Checks of the box."""

import dataclasses
import os
import socket
import threading
from pathlib import Path

import pytest

from appliance.doctor import checks
from appliance.doctor.compiled import hot_modules
from appliance.doctor.history import chat_history
from appliance.doctor.ports import holder_of
from appliance.doctor.udp import udp_room
from appliance.runtime.settings import Settings, with_port_base


def test_a_busy_port_is_named_with_who_holds_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert f"pid {os.getpid()}" in holder_of(port)
        ports = dataclasses.replace(Settings().ports, http=port)
        findings = checks.ports(dataclasses.replace(Settings(), ports=ports))
    http = next(finding for finding in findings if finding.check == "port http")
    assert not http.ok
    assert str(port) in http.seen
    assert "--port-base" in http.advice


def port_findings(host: str, port: int) -> list[checks.Finding]:
    settings = Settings()
    ports = dataclasses.replace(settings.ports, http=port)
    node = dataclasses.replace(settings.node, host=host)
    found = checks.ports(dataclasses.replace(settings, ports=ports, node=node))
    return [finding for finding in found if finding.check == "port http"]


def test_the_port_is_tried_at_the_address_that_is_listened_on() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        port = server.getsockname()[1]
        assert [(one.ok, "busy" in one.seen) for one in port_findings("::1", port)] == [(False, True)]
        assert [(one.ok, "busy" in one.seen) for one in port_findings("::", port)] == [(False, True)]
    assert [one.ok for one in port_findings("::", port)] == [True]
    assert [one.seen for one in port_findings("203.0.113.9", port)] == ["this machine does not have 203.0.113.9"]
    assert ["no address" in one.seen for one in port_findings("300.1.1.1", port)] == [True]


def test_a_busy_port_of_webrtc_is_named_with_who_holds_it() -> None:
    def found(port: int) -> list[tuple[bool, str]]:
        ports = dataclasses.replace(Settings().ports, webrtc_out=port)
        findings = checks.ports(dataclasses.replace(Settings(), ports=ports))
        return [(one.ok, one.seen) for one in findings if one.check == "port webrtc_out"]

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        [(good, seen)] = found(port)
    assert not good
    assert seen.startswith(f"{port} of UDP is busy")
    assert f"pid {os.getpid()}" in seen
    assert found(port) == [(True, f"{port} of UDP is free")]


def test_a_node_starts_on_a_disk_that_its_recorder_has_filled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def starts(free: int, spare: int) -> bool:
        monkeypatch.setattr(checks, "free_bytes", lambda _folder: free)
        recorder = dataclasses.replace(Settings().recorder, spare_bytes=spare)
        node = dataclasses.replace(Settings().node, data_dir=str(tmp_path))
        [finding] = checks.disk(dataclasses.replace(Settings(), recorder=recorder, node=node))
        return finding.ok

    spare = Settings().recorder.spare_bytes
    assert starts(spare - (256 << 20), spare)
    assert starts(400 << 20, 512 << 20)
    assert not starts(spare // 4, spare)
    assert not starts(1 << 20, 0)


def test_where_the_chat_history_lies() -> None:
    def found(points: tuple[str, ...], port: int) -> list[tuple[bool, str]]:
        coordinator = dataclasses.replace(Settings().coordinator, chat_store="cassandra")
        cassandra = dataclasses.replace(Settings().cassandra, contact_points=points, port=port)
        settings = dataclasses.replace(Settings(), coordinator=coordinator, cassandra=cassandra)
        return [(finding.ok, finding.seen) for finding in chat_history(settings)]

    assert chat_history(Settings()) == []
    assert found((), 9042) == [(False, "no contact point")]
    answers = [bytes([0x84, 0, 0, 0, 6, 0, 0, 0, 0]), b"HTTP/1.1 400"]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    connection.recv(9)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert found(("127.0.0.1",), port) == [(True, f"port {port} speaks CQL")]
        assert found(("127.0.0.1",), port) == [(False, f"port {port} does not speak CQL")]
        thread.join()
    [(good, seen)] = found(("127.0.0.1",), port)
    assert not good
    assert "refused" in seen


def test_nobody_holds_a_free_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert holder_of(port) == ""


def test_disk_looks_at_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    node = dataclasses.replace(Settings().node, data_dir=str(tmp_path / "not" / "yet"))
    [finding] = checks.disk(dataclasses.replace(Settings(), node=node))
    assert "GiB free" in finding.seen


def test_port_base_maps_in_the_documented_order() -> None:
    ports = with_port_base(Settings(), 20_000).ports
    assert dataclasses.astuple(ports) == tuple(range(20_000, 20_013))
    assert (ports.http, ports.rtmp, ports.api, ports.nats, ports.metrics) == (
        20_000,
        20_002,
        20_007,
        20_008,
        20_010,
    )


def test_it_is_told_how_ingest_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEARCAST_COMPILED", str(tmp_path))
    assert [(one.seen, one.ok) for one in hot_modules(Settings())] == [("compiled", True)]
    monkeypatch.setenv("NEARCAST_COMPILED", str(tmp_path / "gone"))
    monkeypatch.setenv("PATH", str(tmp_path))
    [found] = hot_modules(Settings())
    assert found.seen.startswith("interpreted, there is no C compiler")
    assert found.ok
    (tmp_path / "gone.failed").touch()
    assert f"see {tmp_path}/log" in hot_modules(Settings())[0].seen


def test_too_little_room_for_what_comes_by_udp_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.doctor.udp._ENOUGH", 1)
    assert udp_room(Settings())[0].ok
    monkeypatch.setattr("appliance.doctor.udp._ENOUGH", 1 << 30)
    monkeypatch.setattr("appliance.doctor.udp._SO_RCVBUFFORCE", 9999)  # as for who may not
    (found,) = udp_room(Settings())
    assert "net.core.rmem_max" in found.advice
