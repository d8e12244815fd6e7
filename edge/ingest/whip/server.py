"""All WebRTC publishers of one process."""

import collections
import dataclasses
import secrets
from pathlib import Path

from appliance.runtime.tasks import Tasks
from edge.ingest.keys import Refusal
from edge.ingest.publisher import Gate
from edge.ingest.whip import metrics
from edge.ingest.whip.access import Access
from edge.ingest.whip.config import WhipConfig
from edge.ingest.whip.resource import PREFIX, WhipResource
from edge.ingest.whip.session import WhipSession
from edge.net.answers import Answer, ResourceError
from edge.net.resource import Created
from edge.net.server import SessionServer, etag_of
from edge.protocols.http.request import RequestHead
from edge.protocols.webrtc.answer import LocalDescription, negotiate, write_answer
from edge.protocols.webrtc.sdp import Offer

_RETRY_S = 10.0


class WhipServer(SessionServer[WhipSession]):
    """The gate admits publishers."""

    def __init__(self, config: WhipConfig, gate: Gate, access: Access, socket_path: Path, tasks: Tasks) -> None:
        super().__init__(config, socket_path, tasks, prefix=PREFIX, name="ingest.whip", rests=True)
        self.config = config
        self.resource = WhipResource(self, config.ice_servers)
        self._gate = gate
        self._access = access
        self._addresses: collections.Counter[str] = collections.Counter()

    def answered(self, status: int) -> None:
        """See connection.Owner."""
        metrics.REQUESTS.labels(str(status)).inc()

    async def serve(self, request: RequestHead, body: bytes, address: str) -> Answer:
        """See connection.Owner."""
        return await self.resource.serve(request, body, address)

    # --- sessions, as the resource asks for them

    async def check(self, key: str) -> Refusal | None:
        """See resource.Sessions."""
        if self.draining:
            return Refusal("draining", "This server is about to restart.")
        return await self._access.check(key)

    def create(self, offer: Offer, key: str, encoder: str, address: str) -> Created:
        """See resource.Sessions."""
        negotiated = negotiate(offer)
        over = self.count >= self.config.sessions
        if over or self._addresses[address] >= self.config.sessions_per_address:
            raise ResourceError(
                503, "too_many", "This server has no room for another publisher.", retry_after_s=_RETRY_S
            )
        session = WhipSession(
            offer,
            negotiated,
            agent=self.make_agent(),
            identity=self._identity,
            config=self.config,
            gate=self._gate,
            access=self._access,
            port=self._port,
            on_over=self.over,
            key=key,
            encoder=encoder,
            address=address,
            ssrc=secrets.randbits(32),
            now=self.now(),
        )
        self._addresses[address] += 1
        secret = self.add(session)
        answer = write_answer(offer, negotiated, self.description(session))
        return Created(secret, answer, etag_of(session.agent))

    def description(self, session: WhipSession) -> LocalDescription:
        """Our side of a session."""
        return dataclasses.replace(super().description(session), start_kbps=self.config.start_kbps)

    def over(self, session: WhipSession) -> None:
        """See SessionServer."""
        self._addresses[session.address] -= 1
        if self._addresses[session.address] <= 0:
            del self._addresses[session.address]
        super().over(session)

    def changed(self) -> None:
        """See SessionServer."""
        metrics.SESSIONS.set(self.count)
