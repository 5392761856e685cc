"""Pseudonyms are stable for those who hold the keys, and the database names nobody."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from consent.subjects import Subjects
from tacit.core.rootkey import RootKey, RootKeyUnusable
from tests.consent.support import CANARY, SITE, FixedClock, Room, asking, room


def test_a_person_has_one_pseudonym_in_every_process(tmp_path: Path) -> None:
    rooms = [room(tmp_path) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda one: one.subjects.pseudonym(SITE, "user", CANARY), rooms))
    assert len(found) == 1
    assert len(found.pop()) == 32
    for one in rooms:
        one.close()


def test_sites_types_and_people_have_different_pseudonyms(here: Room) -> None:
    of = here.subjects.pseudonym
    assert len({of(SITE, "user", "a"), of("other", "user", "a"), of(SITE, "email", "a"), of(SITE, "user", "b")}) == 4
    assert of(SITE, "email", " A@B.org") == of(SITE, "email", "a@b.org")
    assert here.subjects.fingerprint(SITE, b"a") != here.subjects.fingerprint("other", b"a")


def test_another_root_key_opens_nothing(here: Room) -> None:
    here.subjects.pseudonym(SITE, "user", CANARY)
    with pytest.raises(RootKeyUnusable):
        Subjects(here.engine, RootKey(b"x" * 32), FixedClock()).pseudonym(SITE, "user", CANARY)


def test_no_identifier_or_idempotency_key_is_in_any_byte_of_the_database(here: Room) -> None:
    key = "idempotency-canary-55c1"
    here.service.record(SITE, asking(CANARY, measurement=True, personalisation=False), idempotency_key=key)
    here.service.withdraw(SITE, "email", CANARY)
    here.service.query(SITE, "user", CANARY)
    here.service.history(SITE, "user", CANARY)
    files = sorted(here.path.iterdir())
    content = b"".join(file.read_bytes() for file in files)
    assert "intake.db" in [file.name for file in files]
    assert b"newsroom" in content  # the search sees what is stored
    for canary in (CANARY, CANARY.upper(), CANARY.encode().hex(), "canary", key, key.encode().hex()):
        assert canary.encode() not in content
