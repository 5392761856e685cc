"""The OpenAPI document tells the truth about every path, also about later ones: schemathesis tries all of them, with all its checks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import House
from tests.http.fuzzing import NOBODY, failures, running


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("filled"), on_postgres=False) as house:
        yield house


@pytest.mark.parametrize("role", ["admin", "app", "officer", "auditor", "write", NOBODY])
def test_every_path_answers_as_the_document_says(filled: House, role: str) -> None:
    found = failures(filled, role, examples=8) if role == "admin" else failures(filled, role, examples=2, phases="fuzzing")
    assert not found, found


def test_every_path_answers_as_the_document_says_on_postgres(tmp_path: Path) -> None:
    with running(tmp_path, on_postgres=True) as house:
        found = failures(house, "admin", examples=4)
    assert not found, found
