"""Roles that are started again under those who use them."""

import asyncio
import socket
from pathlib import Path

import pytest

from tests.e2e.e2e_node import Node
from tests.e2e.e2e_pages import until_live
from tests.media_tools.clips import ClipMaker
from tests.media_tools.publisher import Publisher

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def _connects(port: int) -> None:
    """ConnectionRefusedError when nobody listens."""
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        pass


async def test_encoders_are_not_refused_while_ingest_is_started_again(victim: Node, clips: ClipMaker) -> None:
    """One that was there comes back into its broadcast, one that comes in the middle waits and is taken."""
    old = await asyncio.to_thread(victim.channel, "stays")
    new = await asyncio.to_thread(victim.channel, "comes")
    with Publisher(clips.clip(60), old.publish_url):
        await until_live(victim, old)
        before = Path(f"/proc/{victim.roles()['ingest'].pid}")
        restart = asyncio.create_task(asyncio.to_thread(victim.command, "restart", "ingest"))
        while before.exists():
            await asyncio.to_thread(_connects, victim.rtmp_port)
            await asyncio.sleep(0.02)
        with Publisher(clips.clip(60), new.publish_url):
            await asyncio.to_thread(_connects, victim.rtmp_port)
            await restart
            await until_live(victim, new)
    with Publisher(clips.clip(20), old.publish_url):
        await until_live(victim, old)
