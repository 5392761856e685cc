"""The keyed hashes of staged rows. All keys come from one random epoch secret or window key, and go with it."""

from __future__ import annotations

from tacit.core.mac import Mac, derive, subject_bytes

PERSON_BYTES = 16


class PurposeKeys:
    """One purpose's keys in one epoch."""

    __slots__ = ("message", "person")

    def __init__(self, secret: bytes, purpose: str) -> None:
        self.person = Mac(derive(secret, f"person {purpose}"))
        self.message = Mac(derive(secret, f"message {purpose}"))


def person(secret: bytes, purpose: str, id_type: str, subject: str) -> bytes:
    """The first 16 bytes of a person's pseudonym in an epoch and purpose: columns `p1` and `p2`."""
    return PurposeKeys(secret, purpose).person.digest(subject_bytes(id_type, subject))[:PERSON_BYTES]
