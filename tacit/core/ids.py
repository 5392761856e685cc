"""Identifiers of our own things (releases, findings, keys): random, sortable by time, free of any person's data."""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, as in the ULID specification


def new_id(prefix: str, *, now_ms: int) -> str:
    """`<prefix>_<26 characters>`: 48 bits of time and 80 random bits (the ULID layout)."""
    number = (now_ms << 80) | secrets.randbits(80)
    characters = []
    for _ in range(26):
        number, digit = divmod(number, 32)
        characters.append(_ALPHABET[digit])
    return f"{prefix}_{''.join(reversed(characters))}"
