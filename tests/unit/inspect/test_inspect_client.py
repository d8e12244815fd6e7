"""The HTTP client and the whole command over loopback, with servers that behave and servers that don't."""

import asyncio
import datetime as dt
import json
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from inspect_origin import Fault, Options, Origin

from appliance.engines.certificate import self_signed
from edge.inspect.__main__ import main
from edge.inspect.errors import NotReachableError
from edge.inspect.http_client import Ask, HttpClient
from edge.inspect.observations import Exchange
from edge.inspect.prober import watch

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on loopback; its URL."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def answering(*answers: bytes) -> Serve:
    """Gives each request of a connection the next answer, then closes it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()

    return serve


async def fetched(serve: Serve, times: int = 1, **ask: Any) -> list[Exchange]:
    client = HttpClient()
    try:
        async with serving(serve) as url:
            return [await client.fetch(Ask(url + "/a", **ask)) for _ in range(times)]
    finally:
        await client.close()


async def test_lengths_chunks_and_connections_that_are_used_again() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n"
    first, second = await fetched(answering(chunked, b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno"), 2)
    assert (first.status, first.body, first.reused) == (200, b"abcde", False)
    assert (second.status, second.body, second.reused) == (404, b"no", True)


async def test_a_connection_that_was_closed_while_idle_is_made_anew() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"
    first, second = await fetched(answering(answer), 2)
    assert (first.body, second.body, second.error) == (b"a", b"a", "")


async def test_gzip_is_unpacked_up_to_the_bound() -> None:
    packer = zlib.compressobj(wbits=31)
    bomb = packer.compress(bytes(5_000_000)) + packer.flush()
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    [one] = await fetched(answering(head + bomb), max_bytes=100_000)
    assert one.truncated
    assert len(one.body) == 100_000


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 " + b"x" * 200_000,
        b"HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[/\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_broken_answers_are_failures_not_errors(answer: bytes) -> None:
    [one] = await fetched(answering(*[answer] * (7 if b" 302 " in answer else 1)), timeout_s=3.0)
    assert one.error
    assert not one.ok


async def test_who_never_answers_is_given_up() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    [one] = await fetched(silent, timeout_s=0.1)
    assert one.error == "no answer within 0.1 s"


async def test_an_endless_body_is_cut_off() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(65_536))
            await writer.drain()

    [one] = await fetched(endless, max_bytes=200_000)
    assert one.truncated
    assert 200_000 <= len(one.body) <= 300_000


async def test_certificates_of_their_own_and_what_tls_offers(tmp_path: Path) -> None:
    files = self_signed(tmp_path, ["127.0.0.1"], dt.datetime.now(dt.UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"
    async with serving(answering(answer), context) as url:
        for insecure, body in ((True, b"a"), (False, b"")):
            client = HttpClient(insecure=insecure)
            one = await client.fetch(Ask(url + "/a"))
            assert one.body == body
            assert one.error.startswith("" if insecure else "TLS: ")
            assert not await client.offers_http2(url)
            await client.close()
        context.set_alpn_protocols(["h2"])
        assert await HttpClient().offers_http2(url)


def over_http(origin: Origin) -> Serve:
    """The small origin as a server."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, target, _ = head[0].split(" ")
            fields = {name.title(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
            status, headers, body = await origin._answer(Ask(f"http://x{target}", method, fields))
            if headers.get("content-encoding") == "gzip":
                packer = zlib.compressobj(wbits=31)
                body = packer.compress(body) + packer.flush()
            headers = {"content-length": str(len(body)), **headers}
            lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
            writer.write("\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else body))
            await writer.drain()

    return serve


async def test_a_watch_over_loopback() -> None:
    client = HttpClient()
    origin = Origin(Fault(""), asyncio.get_running_loop().time())
    try:
        async with serving(over_http(origin)) as url:
            result = await watch(client, url + "/live/index.m3u8", 1.6)
    finally:
        await client.close()
    assert not result.inspection.findings.names - {"CADENCE-PART"}
    assert all(state.parts_read > 10 for state in result.inspection.renditions.values())


async def test_exit_codes_and_documents(capsys: pytest.CaptureFixture[str]) -> None:
    origin = Origin(Fault("", options=Options(ended=True, iframes=True)), asyncio.get_running_loop().time())
    wrong = Origin(Fault("", text=lambda *_: "#EXTM3U\nx", options=Options(ended=True)), 0.0)
    async with serving(over_http(origin)) as url, serving(over_http(wrong)) as other:
        clean = await asyncio.to_thread(main, [url + "/live/index.m3u8", "--seconds", "5", "--json"])
        document = json.loads(capsys.readouterr().out)
        assert clean == 0
        assert document["violations"] == []
        assert document["renditions"][0]["segments"] == 12
        assert await asyncio.to_thread(main, [other + "/live/index.m3u8", "--seconds", "1"]) == 1
        said = capsys.readouterr()
        assert not said.out
        assert "PL-SYNTAX" in said.err
        assert await asyncio.to_thread(main, [url + "/nothing", "--seconds", "1"]) == 3


@pytest.mark.parametrize("argv", [[], ["ftp://x/"], ["http://"], ["http://x/", "--seconds", "0"], ["--what"]])
def test_wrong_usage(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2


def test_the_list_names_every_requirement(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert "PART-LE-TARGET" in capsys.readouterr().out


@pytest.mark.parametrize("body", [b"<html>", b"", b"#EXTM3U\n"])
async def test_what_is_no_playlist_is_not_reachable(body: bytes) -> None:
    client = HttpClient()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with serving(answering(head + body)) as url:
        with pytest.raises(NotReachableError):
            await watch(client, url, 1.0)
    await client.close()
