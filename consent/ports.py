"""What consent needs from others: staged rows that follow a choice, and somebody who counts choices. `tacit.wiring` joins them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection


class StagedData(Protocol):
    """What is staged of a person and not yet released.

    Both methods write with `connection` alone: it holds the intake vault's write lock, so a second transaction would wait for ever.
    """

    def withdraw(self, site: str, id_type: str, subject: str, purposes: Sequence[str], connection: Connection) -> None:
        """Keep everything staged of the person and these purposes out of every later release, once `connection` commits."""
        ...

    def readmit(self, site: str, id_type: str, subject: str, purposes: Sequence[str], connection: Connection) -> None:
        """Let what arrives from now on be released again; what was staged before the withdrawal stays out."""
        ...


class ChoiceCounter(Protocol):
    """Feeds the private figures behind the consent page. Called after the commit; a failure costs a count, never a choice."""

    def count(self, site: str, id_type: str, subject: str, choices: Mapping[str, str]) -> None:
        """Count one person's choices: purpose to `granted`, `refused` or `withdrawn`."""
        ...


class PersonRows(Protocol):
    """Rows that stand under a person's lookup pseudonym outside the consent tables, such as the notices that were served to people.

    All methods work inside the caller's transaction on the intake vault.
    """

    def of(self, connection: Connection, site: str, pseudonyms: Sequence[bytes]) -> list[dict[str, Any]]:
        """What there is of the person, for the person to read."""
        ...

    def move(self, connection: Connection, site: str, old: Sequence[bytes], new: bytes) -> None:
        """Let what stands under an old pseudonym stand under the new one."""
        ...

    def erase(self, connection: Connection, site: str, pseudonym: bytes) -> None:
        """Delete what there is of the person."""
        ...


class StagedCounts(Protocol):
    """Looks into what is staged on behalf of the person it is about. Opens no transaction of the caller's and writes nothing."""

    def count(self, site: str, id_type: str, subject: str) -> list[dict[str, Any]]:
        """Rows that are still to be released, by purpose and measure: `{"purpose", "measure", "rows"}`."""
        ...


class InclusionProofs(Protocol):
    """Proves from the evidence log that an entry stands in it."""

    def inclusion(self, index: int) -> dict[str, Any] | None:
        """The entry's index, the log's size and root, the path between them and the signed checkpoint, as JSON has them."""
        ...


class NothingProven:
    """For an installation without an evidence log."""

    def inclusion(self, index: int) -> None:
        """There is no log to prove it from."""


class NothingCounted:
    """For an installation without staging."""

    def count(self, site: str, id_type: str, subject: str) -> list[dict[str, Any]]:  # noqa: ARG002 - one signature for all
        """Nothing is staged."""
        return []


class NothingStaged:
    """For an installation without staging."""

    def withdraw(self, site: str, id_type: str, subject: str, purposes: Sequence[str], connection: Connection) -> None:
        """There is nothing to keep out."""

    def readmit(self, site: str, id_type: str, subject: str, purposes: Sequence[str], connection: Connection) -> None:
        """There is nothing to let in."""


class ChoicesUncounted:
    """For a site that declares no figures about consent."""

    def count(self, site: str, id_type: str, subject: str, choices: Mapping[str, str]) -> None:
        """Nobody asked for the figures."""
