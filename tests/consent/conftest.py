from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.consent.support import Room, room


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Room]:
    made = room(tmp_path)
    yield made
    made.close()
