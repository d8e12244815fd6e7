"""HTTP face of automatic multitrack video."""

from coordinator.api.route import Call, Reply, Route
from coordinator.client_configuration.models import Configuration, ConfigurationRequest
from coordinator.client_configuration.service import ClientConfigurations


def routes(configurations: ClientConfigurations) -> list[Route]:
    """POST /client-configuration. It asks for no token: the stream key in its body is the credential."""

    async def find(call: Call) -> Reply:
        return Reply(200, await configurations.find(call.unit, call.body))

    return [
        Route(
            "POST",
            "/client-configuration",
            find,
            "What OBS should encode and where to send it (multitrack video)",
            body=ConfigurationRequest,
            answer=Configuration,
        )
    ]
