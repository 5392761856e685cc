from __future__ import annotations

import pytest

from tests.attack.auditor import Auditor


@pytest.fixture(scope="session")
def auditor() -> Auditor:
    """One for the whole run: its audits share the false alarms."""
    return Auditor()
