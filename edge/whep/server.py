"""All WebRTC viewers of one process."""

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from appliance.contracts.errors import UnavailableError
from appliance.contracts.media import Broadcast
from appliance.runtime.tasks import Tasks
from edge.net.answers import Answer, ResourceError
from edge.net.resource import Created
from edge.net.server import SessionServer, etag_of
from edge.protocols.http.request import RequestHead
from edge.protocols.webrtc.answer import Negotiated
from edge.protocols.webrtc.errors import NoCodecError
from edge.protocols.webrtc.sdp import Offer
from edge.protocols.webrtc.sender import StreamForm
from edge.protocols.webrtc.viewing import negotiate_viewer, stream_form, write_viewer_answer
from edge.whep import metrics
from edge.whep.admission import Admission, Ticket, instead
from edge.whep.audience import Watching
from edge.whep.config import WhepConfig
from edge.whep.relay import Relay
from edge.whep.resource import PREFIX, WhepResource
from edge.whep.rung import RungFeed
from edge.whep.session import WhepSession

_RETRY_S = 10.0


class Channels(Protocol):
    """What can be watched."""

    def live(self, channel: str) -> Broadcast | None:
        """Its broadcast."""


class WhepServer(SessionServer[WhepSession]):
    """`relay_of` gives the relay of a broadcast, made when it is new."""

    def __init__(
        self,
        config: WhepConfig,
        channels: Channels,
        admission: Admission,
        relay_of: Callable[[Broadcast], Relay],
        socket_path: Path,
        tasks: Tasks,
    ) -> None:
        super().__init__(config, socket_path, tasks, prefix=PREFIX, name="whep")
        self._config = config
        self._channels = channels
        self._admission = admission
        self._relay_of = relay_of
        self._resource = WhepResource(self, config.ice_servers)
        self._coming = 0  # offers that wait for a first picture

    def answered(self, status: int) -> None:
        """See connection.Owner."""
        metrics.REQUESTS.labels(str(status)).inc()

    async def serve(self, request: RequestHead, body: bytes, address: str) -> Answer:
        """See connection.Owner."""
        return await self._resource.serve(request, body, address)

    def changed(self) -> None:
        """See SessionServer."""
        metrics.VIEWERS.set(self.count)

    # --- sessions, as the resource asks for them

    def check(self, ticket: Ticket) -> None:
        """See resource.Sessions."""
        self._admission.check(ticket)
        if self._channels.live(ticket.channel) is None:
            raise ResourceError(410, "not_live", "This channel is not live now.")
        if self.draining or self.count + self._coming >= self._config.viewers:
            raise _full(ticket)

    async def create(self, ticket: Ticket, offer: Offer, address: str) -> Created:
        """See resource.Sessions."""
        record = self._channels.live(ticket.channel)
        if record is None:
            raise ResourceError(410, "not_live", "This channel is not live now.")
        relay = self._relay_of(record)
        feed = await self._first(ticket, record, relay)
        self._check_rate(ticket, feed, relay)
        profile = feed.profile if feed is not None else ""
        try:
            negotiated = negotiate_viewer(offer, video=feed is not None, profile=profile)
        except NoCodecError as error:
            raise ResourceError(406, str(error.code), error.detail, instead(ticket)) from error
        forms = _forms(negotiated)
        session = WhepSession(
            offer,
            negotiated,
            forms,
            agent=self.make_agent(),
            identity=self._identity,
            config=self._config,
            port=self._port,
            relay=relay,
            feed=feed if "video" in forms else None,
            on_over=self.over,
            ticket=ticket,
            address=address,
            now=self.now(),
        )
        relay.viewers.add(session)
        secret = self.add(session)
        answer = write_viewer_answer(offer, negotiated, forms, self.description(session))
        return Created(secret, answer, etag_of(session.agent))

    async def _first(self, ticket: Ticket, record: Broadcast, relay: Relay) -> RungFeed | None:
        """The rendition to begin with, None for sound alone. ResourceError when none can be shown."""
        if not record.has_video:
            return None
        self._coming += 1
        try:
            feed = await relay.first(self._config.start_bits_per_s, self._config.ready_s)
        except UnavailableError as error:
            raise ResourceError(
                503, "not_ready", "This broadcast has no picture yet.", instead(ticket), retry_after_s=1.0
            ) from error
        finally:
            self._coming -= 1
        self.check(ticket)  # time has passed
        if feed is None:
            text = "WebRTC cannot show this broadcast: it has no H.264 picture without B-frames. Use HLS."
            raise ResourceError(406, "no_usable_rendition", text, instead(ticket))
        return feed

    def _check_rate(self, ticket: Ticket, feed: RungFeed | None, relay: Relay) -> None:
        rates = {step.name: step.bandwidth for step in relay.steps()}
        used = sum(session.bandwidth() for session in self._secrets)
        wanted = rates.get(feed.name, 0) if feed is not None else 0
        if used + wanted > self._config.most_bits_per_s or self.count >= self._config.viewers:
            raise _full(ticket)

    # --- those who watch

    def sweep(self) -> None:
        """Ends those who may no longer watch."""
        for session in list(self._secrets):
            if not self._admission.may_stay(session.ticket):
                session.end("this viewer may no longer watch the channel", "not_entitled", clean=True)

    def watching(self) -> list[Watching]:
        """Everybody who watches now."""
        return [
            Watching(session.relay.broadcast_id, session.ticket.sid or secret, session.address)
            for session, secret in self._secrets.items()
        ]


def _forms(negotiated: Negotiated) -> Mapping[str, StreamForm]:
    return {
        chosen.section.kind: stream_form(chosen, 2 * secrets.randbits(31), 2 * secrets.randbits(31) + 1)
        for chosen in negotiated.chosen
    }


def _full(ticket: Ticket) -> ResourceError:
    text = "No more viewers can watch by WebRTC here now. Use HLS."
    return ResourceError(503, "too_many", text, instead(ticket), retry_after_s=_RETRY_S)
