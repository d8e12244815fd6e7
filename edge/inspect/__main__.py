"""`python -m edge.inspect URL [--seconds N] [--json] [--insecure]`, or `--list`."""

import argparse
import asyncio
import json
import sys

from edge.inspect.catalogue import table
from edge.inspect.errors import NotReachableError, UnusableUrlError
from edge.inspect.http_client import HttpClient, check_url
from edge.inspect.prober import Result, watch
from edge.inspect.report import document, failed, text

VIOLATED, WRONG_USAGE, NOT_REACHABLE = 1, 2, 3
_LONGEST_S = 24 * 3600.0


def main(argv: list[str]) -> int:
    """0 clean, 1 when a MUST or PLAYER requirement is violated, 2 wrong usage, 3 not reachable."""
    parser = argparse.ArgumentParser(prog="nearcast inspect")
    parser.add_argument("url", nargs="?", help="of a multivariant or media playlist")
    parser.add_argument("--seconds", type=float, default=30.0, metavar="N", help="how long it is watched")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--insecure", action="store_true", help="take the server's certificate as it is")
    parser.add_argument("--list", action="store_true", help="print every requirement that is checked")
    arguments = parser.parse_args(argv)
    if arguments.list:
        sys.stdout.write(table() + "\n")
        return 0
    if arguments.url is None or not 0 < arguments.seconds <= _LONGEST_S:
        parser.error("a URL, and a number of seconds" if arguments.url is None else "--seconds must be positive")
    try:
        check_url(arguments.url)
        result = asyncio.run(_watch(arguments.url, arguments.seconds, insecure=arguments.insecure))
    except UnusableUrlError as error:
        parser.error(error.detail)
    except NotReachableError as error:
        sys.stderr.write(f"nearcast: {error.detail}\n")
        return NOT_REACHABLE
    except KeyboardInterrupt:
        return VIOLATED
    if arguments.json:
        sys.stdout.write(json.dumps(document(arguments.url, result)) + "\n")
    sys.stderr.write(text(result) + "\n")
    return VIOLATED if failed(result) else 0


async def _watch(url: str, seconds: float, *, insecure: bool) -> Result:
    client = HttpClient(insecure=insecure)
    try:
        return await watch(client, url, seconds)
    finally:
        await client.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
