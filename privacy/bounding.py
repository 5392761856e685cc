"""Bounds what one person adds to a window, then counts exactly, in DuckDB's memory.

The invariant: which of a person's rows survive depends on that person's rows alone. Rows are ordered by `h`, a keyed hash of the
message, never by position: ordered by position, removing one person would move other people's rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import duckdb
import numpy as np
import numpy.typing as npt

from privacy import bounding_sql as sql
from privacy.bounding_sql import Shape
from privacy.centring import centre
from privacy.ports import Columns
from privacy.repeats import repeated
from tacit.core.declaration import Kind, Measure

PERSON = np.dtype([("p1", "<u8"), ("p2", "<u8")])

ROWS_AT_ONCE = 2_000_000
"""Of more rows, one range of pseudonyms is bounded after the other, so that memory stays the same."""

LATE_MS = 25 * 3_600_000
"""The times of a window's steps run from so long before its start: the door takes nothing older."""

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Bounded:
    """One window's exact numbers, by measure id. There is no noise in them yet."""

    vectors: dict[int, npt.NDArray[np.int64]]
    """The counts and, for a sum, the sums of values less `accounting.centre` after them. Empty where keys are not declared."""
    keyed: dict[int, dict[int, int]]
    """The counts of undeclared keys, each key an unsigned 64-bit number."""
    people: dict[int, bytes]
    """Who is counted, as packed, sorted 16-byte pseudonyms."""


def bounded_counts(
    contributions: Columns,
    measures: Sequence[Measure],
    already_used: Arrays,
    *,
    start_ms: int = 0,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Bounded:
    """What counts in a window that starts at `start_ms`.

    `already_used` has the columns measure, p1, p2: one row for each other window of the epoch in which a person was counted.
    """
    columns, by_id = contributions.columns, {m.id: m for m in measures}
    counting, rows = _Counting.of(by_id), len(columns["measure"])
    if by_id and rows:
        shapes = {m.id: Shape.of(m, _anchor(start_ms)) for m in by_id.values()}
        numbers = {shape: number for number, shape in enumerate(dict.fromkeys(shapes.values()))}
        with _memory().cursor() as database:
            database.register("contributions", dict(columns))
            database.register("declared", _declared((m, numbers[shapes[m.id]]) for m in by_id.values()))
            bounding = _Bounding.of(database, columns, already_used)
            for shape, number in numbers.items():
                for people in _ranges(-(-rows // rows_at_once)):
                    bounding.keep(shape, number, people)
                    counting.add(_fetched(database, sql.COUNTED), _fetched(database, sql.PRESENT))
    return Bounded(counting.vectors, counting.keyed, {i: b"".join(parts) for i, parts in counting.people.items()})


@dataclass(frozen=True, slots=True)
class _Bounding:
    """A database with a window's rows. Two sets of people are treated apart: those who used up their windows do not count, and those of
    whom two copies of a message arrived are bounded by all steps (a worker that did not know of the other's copy let the second in)."""

    database: duckdb.DuckDBPyConnection
    any_apart: bool
    any_careful: bool

    @classmethod
    def of(cls, database: duckdb.DuckDBPyConnection, columns: Arrays, already_used: Arrays) -> _Bounding:
        """Find the people who are treated apart."""
        for table in ("apart", "careful"):
            database.execute(f"create temp table {table}(measure bigint, p1 ubigint, p2 ubigint)")
        if len(already_used["measure"]):
            database.register("used", dict(already_used))
            database.execute(f"insert into apart {sql.USED_UP}")
        hashes: npt.NDArray[np.uint64] = np.bitwise_xor(columns["m"], columns["measure"].view(np.uint64))
        copied = repeated(hashes)  # with the measure, because a message may count in several
        if len(copied):
            database.register("copied", {name: columns[name][copied] for name in ("measure", "p1", "p2")})
            database.execute(f"insert into careful {sql.COPIED}")
            database.execute("insert into apart select * from careful")
        return cls(database, bool(len(copied) or len(already_used["measure"])), bool(len(copied)))

    def keep(self, shape: Shape, number: int, people: tuple[str, ...]) -> None:
        """Leave the rows that count in the table `kept`, of one shape's measures and one range of people."""
        own = sql.own(number, *people, *((sql.NOT_APART,) if self.any_apart else ()))
        careful = self.any_careful
        if shape.has_short_cut:
            self.database.execute(f"create or replace temp table firsts as {shape.short_cut(own)}")
            careful |= self.database.execute(f"insert into careful {shape.tied_people}").fetchall() != [(0,)]
            self.database.execute(f"create or replace temp table kept as {shape.first_kept}")
        else:
            self.database.execute(f"create or replace temp table kept as {shape.all_steps(own, copies=False)}")
        if careful:
            own = sql.own(number, *people, sql.CAREFUL)
            self.database.execute(f"insert into kept {shape.all_steps(own, copies=True)}")


@dataclass(frozen=True, slots=True)
class _Counting:
    """What has been counted so far. Each range of people is added once."""

    measures: dict[int, Measure]
    vectors: dict[int, npt.NDArray[np.int64]]
    keyed: dict[int, dict[int, int]]
    people: dict[int, list[bytes]]

    @classmethod
    def of(cls, measures: dict[int, Measure]) -> _Counting:
        """Nothing yet."""
        keyed: dict[int, dict[int, int]] = {i: {} for i, m in measures.items() if m.kind is Kind.KEYS}
        return cls(measures, {i: np.zeros(m.length, dtype=np.int64) for i, m in measures.items()}, keyed, {i: [] for i in measures})

    def add(self, counted: Arrays, present: Arrays) -> None:
        """Add one range of people, in order of `p1`."""
        for i, measure in self.measures.items():
            here = counted["measure"] == i
            cells, counts = counted["cell"][here], counted["n"][here]
            if measure.kind is Kind.KEYS:
                for key, count in zip(cells.astype(np.int64).view(np.uint64).tolist(), counts.tolist(), strict=True):
                    self.keyed[i][key] = self.keyed[i].get(key, 0) + count
            else:
                self.vectors[i][cells] += counts
            if measure.value is not None:
                self.vectors[i][measure.cells + cells] += counted["total"][here]
            mine = present["measure"] == i
            packed = np.empty(int(mine.sum()), dtype=PERSON)
            packed["p1"], packed["p2"] = present["p1"][mine], present["p2"][mine]
            self.people[i].append(packed.tobytes())


@cache
def _memory() -> duckdb.DuckDBPyConnection:
    """The process's database; what a cursor makes in it goes when the cursor is closed.

    It cannot spill to disk: no pseudonym may be written outside the intake side's custody.
    """
    return duckdb.connect(
        ":memory:", config={"temp_directory": "", "autoinstall_known_extensions": False, "preserve_insertion_order": False}
    )


def _fetched(database: duckdb.DuckDBPyConnection, query: str) -> Arrays:
    found: Any = database.execute(query).fetchnumpy()  # its type also allows pandas columns, which numbers never become
    return cast(Arrays, found)


def _declared(measures: Iterable[tuple[Measure, int]]) -> dict[str, npt.NDArray[np.int64]]:
    """The table `declared`: a line for each measure, with the number of its shape."""
    lines = []
    for measure, shape in measures:
        values = measure.value
        low, high, middle = (values.low, values.high, centre(values)) if values else (0, 0, 0)
        lines.append((measure.id, shape, sql.domain(measure), measure.bounds.windows, low, high, middle))
    names = ("measure", "shape", "domain", "windows", "low", "high", "centre")
    return {name: np.array(column, dtype=np.int64) for name, column in zip(names, zip(*lines, strict=True), strict=True)}


def _anchor(start_ms: int) -> int:
    """In tenths of a second modulo 2^31."""
    return (start_ms // 100 - LATE_MS // 100) % 2**31


def _ranges(parts: int) -> Iterator[tuple[str, ...]]:
    """Conditions that divide all people into so many ranges, in order. Pseudonyms are hashes, so that the ranges are alike."""
    edges = [2**64 * part // parts for part in range(parts + 1)]
    for first, following in itertools.pairwise(edges):
        yield () if parts == 1 else (sql.between(first, following - 1),)
