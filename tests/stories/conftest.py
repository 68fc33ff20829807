"""The shop that the stories are told in."""

import pytest

from tests.stories.shop import opened


@pytest.fixture
async def shop(tmp_path):
    async with opened(tmp_path) as shop:
        yield shop
