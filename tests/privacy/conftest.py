from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.privacy.world import World, world


@pytest.fixture
def house(tmp_path: Path) -> Iterator[World]:
    one = world(tmp_path)
    yield one
    one.intake.dispose()
    one.released.dispose()
