"""What the boundary needs of the intake side. `ingest` satisfies this without knowing it; `tacit.wiring` joins the two.

The sanitiser alone decides when a window is read, when its staging is destroyed and when an epoch's keys are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from privacy.models import Release, Row, Window

COLUMNS: Mapping[str, str] = {"p1": "<u8", "p2": "<u8", "h": "<i8", "m": "<u8", "measure": "<i8", "cell": "<u4", "value": "<i4"}
"""Column types. `p1`, `p2`: a person; `m`: the person's message, the same in all windows of the epoch; `h`: the secret order."""


@dataclass(frozen=True, slots=True)
class Contributions:
    """The rows of one window, column by column. People who withdrew and messages seen in earlier windows are left out already."""

    columns: Mapping[str, npt.NDArray[Any]]
    names: Mapping[int, Mapping[int, str]] = field(default_factory=dict)
    """As `Columns.names`."""

    @classmethod
    def of_rows(cls, rows: npt.NDArray[Any]) -> Contributions:
        """From a structured array, whatever else its fields are."""
        return cls({name: np.ascontiguousarray(rows[name]).astype(kind, copy=False) for name, kind in COLUMNS.items()})


class Span(Protocol):
    """A window as the event source names it."""

    @property
    def site(self) -> str: ...
    @property
    def start_ms(self) -> int: ...
    @property
    def end_ms(self) -> int: ...
    @property
    def epoch_ms(self) -> int: ...


class Columns(Protocol):
    """The rows of one window as the event source gives them."""

    @property
    def columns(self) -> Mapping[str, npt.NDArray[Any]]: ...
    @property
    def names(self) -> Mapping[int, Mapping[int, str]]:
        """The text behind the number of an undeclared value, by measure id and number.

        Such a row's number, unsigned in 64 bits, has `cell` as its low half and the bits of `value` as its high half. A number may be
        without a text, a text without a row.
        """
        ...


class EventSource(Protocol):
    """Staged events, window by window."""

    def closed(self, site: str, after_ms: int | None) -> Sequence[Span]:
        """All windows that have ended, from the one that starts at `after_ms`, oldest first, those without events included."""
        ...

    def contributions(self, window: Window) -> Columns:
        """The window's rows. Raises `StorageUnavailable` for what may pass, any other `Problem` for what never will."""
        ...

    def steady(self, window: Window, rows: Columns) -> AbstractContextManager[bool]:
        """Keep withdrawals waiting; whether nobody in `rows` has withdrawn since they were read. Raises `StorageUnavailable`."""
        ...

    def forget(self, window: Window) -> bool:
        """Destroy the window's rows and key; whether a key was destroyed. Safe to repeat."""
        ...

    def end_epoch(self, site: str, epoch_ms: int, end_ms: int) -> bool:
        """Destroy the epoch's keys and what is left of it; whether a key was destroyed. Safe to repeat."""
        ...

    def sweep(self, site: str, until_ms: int) -> None:
        """End every epoch that has a key and was over by `until_ms`, also where the declaration no longer knows it. Safe to repeat."""
        ...

    def cut(self, site: str) -> None:
        """Close the open window now."""
        ...


class SecretStore(Protocol):
    """Small sealed secrets in the custody of the keys: written whole, never changed, gone for good when destroyed."""

    def keep(self, site: str, name: str, content: bytes) -> None:
        """Write a secret once. The same content again changes nothing. Raises `StorageUnavailable`, also for another content."""
        ...

    def secret(self, site: str, name: str) -> bytes | None:
        """What was kept; None where it was never kept, was lost at a reboot or destroyed. Raises `StorageUnavailable`."""
        ...

    def destroy_secrets(self, site: str, prefix: str) -> int:
        """Destroy every secret whose name starts with `prefix`; how many there were. Safe to repeat. Raises `StorageUnavailable`."""
        ...

    def secrets(self, site: str, prefix: str) -> list[str]:
        """The names that start with `prefix`, in order."""
        ...


class Published(Protocol):
    """What has been published of blocks of correlated noise: `releases` in the vault, or a simulation's memory."""

    def last_row(self, site: str, measure_id: int) -> Release | None:
        """The latest row of a measure."""
        ...

    def rows(self, block: str, *, before: int) -> Sequence[bytes]:
        """The rows of one block up to a position, packed, in order."""
        ...

    def row_before(self, release: Release) -> Row | None:
        """The row that the measure published before this release's, whatever its block."""
        ...
