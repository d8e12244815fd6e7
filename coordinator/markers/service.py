"""Rules of markers: whose broadcast it is, and asking the edge that writes it."""

import msgspec

from appliance.contracts import subjects
from appliance.contracts.errors import BadInputError, ForbiddenError, NotFoundError, UnavailableError
from appliance.contracts.moments import MAX_TEXT, Moment, MomentRequest, plain
from coordinator.accounts.models import Caller
from coordinator.broadcasts.models import Status
from coordinator.broadcasts.service import Broadcasts
from coordinator.endpoints import Endpoints
from coordinator.markers.models import Marker, NewMarker
from coordinator.ports import Hub
from coordinator.unit import Units


class Markers:
    """No unit is held while an edge is asked."""

    def __init__(
        self, units: Units, broadcasts: Broadcasts, endpoints: Endpoints, hub: Hub, timeout_s: float
    ) -> None:
        self._units = units
        self._broadcasts = broadcasts
        self._endpoints = endpoints
        self._hub = hub
        self._timeout_s = timeout_s

    async def set(self, caller: Caller, stream_id: str, wanted: NewMarker, key: str = "") -> Marker:
        """Marks what is on the air now; `key` is its nonce, as with moderators' actions.

        BadInputError: no text, or too long; ForbiddenError: somebody else's stream; NotFoundError: no such stream,
        or it is not live; UnavailableError: its edge does not answer.
        """
        if not plain(wanted.text) or len(wanted.text) > MAX_TEXT:
            raise BadInputError(f"a marker has 1 to {MAX_TEXT} characters", code="marker_text")
        async with self._units.open() as unit:
            stream = await self._broadcasts.require(unit, stream_id)
        if not caller.may_act_for(stream.user_id):
            raise ForbiddenError("that is somebody else's stream")
        if stream.status not in (Status.LIVE, Status.INTERRUPTED):
            raise NotFoundError("this stream is not live", code="not_live")
        nonce = f"{caller.user_id}:{key}" if key else ""
        request = MomentRequest(broadcast_id=stream_id, text=wanted.text, nonce=nonce)
        subject = subjects.ingest_moment(self._endpoints.home(stream.edge_id))
        try:
            answer = await self._hub.request(subject, msgspec.json.encode(request), timeout_s=self._timeout_s)
            moment = msgspec.json.decode(answer, type=Moment)
        except UnavailableError as error:
            raise UnavailableError("nobody publishes this stream at the moment", retry_after_s=2) from error
        except msgspec.MsgspecError as error:
            raise UnavailableError("the edge gave an answer that cannot be read") from error
        return Marker(marker_id=moment.moment_id, at_ms=moment.at_ms, text=moment.text)
