"""Closed captions in the pictures of an encoder."""

import pytest
from flv_source import Body, audio_config, media, video_config
from ingest_site import Site, until

from appliance.contracts.media import BroadcastState
from tests.media_tools.captioned import caption_sei


def with_captions(body: Body, number: int, *, ahead: bool) -> Body:
    """A picture with the message ahead of its slice, or behind it as OBS has it."""
    sei = caption_sei(number)
    message = len(sei).to_bytes(4, "big") + sei
    head, slices = body.body[:5], body.body[5:]
    return body._replace(body=head + (message + slices if ahead else slices + message))


@pytest.mark.parametrize("ahead", [True, False])
async def test_they_are_told_of_from_when_they_come(site: Site, ahead: bool) -> None:
    service = await site.ingest()
    client = await site.client(service)
    bodies = media(6)
    client.send([video_config(), audio_config(), *(one for one in bodies if one.stamp < 3_000)])
    await until(lambda: site.state() is BroadcastState.LIVE)
    assert not site.log.broadcasts()[0].has_captions
    later = [one for one in bodies if one.stamp >= 3_000]
    client.send(with_captions(one, at, ahead=ahead) if one.is_video else one for at, one in enumerate(later))
    await until(lambda: site.log.broadcasts()[0].has_captions)
    client.writer.transport.abort()
    await until(lambda: site.state() is BroadcastState.INTERRUPTED)
    assert site.log.broadcasts()[0].has_captions


async def test_other_messages_are_no_captions(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service)
    message = b"\x06\x05\x04none\x80"
    bodies = [
        one._replace(body=one.body[:5] + len(message).to_bytes(4, "big") + message + one.body[5:])
        if one.is_video
        else one
        for one in media(4)
    ]
    client.send([video_config(), audio_config(), *bodies])
    await until(lambda: site.state() is BroadcastState.LIVE)
    assert not site.log.broadcasts()[0].has_captions
