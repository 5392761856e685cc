from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ingest.world import World, open_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One installation; the clock stands at ten minutes past midnight."""
    made = open_world(tmp_path)
    yield made
    made.close()
