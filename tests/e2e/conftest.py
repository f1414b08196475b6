"""The whole product, started once for all tests of this folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from development.mosquitto import free_port
from development.stack import Stack


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Start every part on free ports; the printer lives twenty times as fast."""
    directory: Path = tmp_path_factory.mktemp("stack")
    product = Stack(directory, free_port(), free_port(), replay_speed=20)
    try:
        await product.start()
        yield product
    finally:
        await product.stop()
