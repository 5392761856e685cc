"""What was shown to whom, as rows that follow a person: listed for the person, moved with the lookup key, erased with the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from consent import notices_store as store
from consent.records import shown_served


class ServedNotices:
    """Implements `consent.ports.PersonRows`."""

    def of(self, connection: Connection, site: str, pseudonyms: Sequence[bytes]) -> list[dict[str, Any]]:
        """The notices that the person was shown, oldest first."""
        return [shown_served(row) for row in store.served(connection, site, pseudonyms)]

    def move(self, connection: Connection, site: str, old: Sequence[bytes], new: bytes) -> None:
        """Let what stands under an old pseudonym stand under the new one."""
        store.move_served(connection, site, old, new)

    def erase(self, connection: Connection, site: str, pseudonym: bytes) -> None:
        """Delete what there is of the person."""
        store.forget_person(connection, site, pseudonym)
