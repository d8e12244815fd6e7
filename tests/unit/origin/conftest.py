import pytest
from origin_fakes import start_origin


@pytest.fixture
async def make_origin():
    made = []

    async def make(handoffs=None, **changes):
        made.append(await start_origin(handoffs, **changes))
        return made[-1]

    yield make
    for origin in made:
        await origin.close()


@pytest.fixture
async def origin(make_origin):
    """A live channel with three segments and two parts of the fourth."""
    origin = await make_origin()
    origin.go_live()
    origin.add_segments(3)
    for _ in range(2):
        origin.add_part()
    return origin
