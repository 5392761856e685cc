"""The SQL of the bounding: which of a person's rows count, and where. `privacy.bounding` runs it in DuckDB.

`all_steps` is the definition, in SQL that Spark reads too: `row_number` and `lag` in orders that never tie. `short_cut` keeps the same rows
for a good part of the price, by an aggregate of DuckDB's own (`min(x, n)`, the n smallest), and says for whom it cannot tell.
Both look at a person's own rows only: none is compared with another person's, and none has a position.

Tables: `contributions` (`privacy.ports.COLUMNS`), `declared` (a line for each measure), `used`, `apart`, `careful` (people, by measure).
"""

from __future__ import annotations

from dataclasses import dataclass

from tacit.core.declaration import Kind, Measure

CELL_BITS = 17
"""What a cell takes of an order key in the short cut: enough for `tacit.core.declaration.CELL_LIMIT`."""

LONGEST = 64
"""Up to so many rows a window there is a short cut: it reserves memory for all of them, for everybody."""

USED_UP = """
select u.measure, u.p1, u.p2 from used u join declared d on d.measure = u.measure
group by u.measure, u.p1, u.p2, d.windows having count(*) >= d.windows
"""
"""People who were counted in as many other windows as the measure allows."""

COUNTED = """
select d.measure, k.cell, count(*) as n, cast(sum(greatest(least(k.value, d.high), d.low) - d.centre) as bigint) as total
from kept k join declared d on d.measure = k.measure
group by d.measure, k.cell
"""

PRESENT = "select measure, p1, p2 from kept where place = 1 order by measure, p1, p2"

NOT_APART = "not exists (select 1 from apart a where a.measure = c.measure and a.p1 = c.p1 and a.p2 = c.p2)"
CAREFUL = "exists (select 1 from careful a where a.measure = c.measure and a.p1 = c.p1 and a.p2 = c.p2)"

COPIED = f"select distinct measure, p1, p2 from copied c where {NOT_APART}"  # noqa: S608 - made of our own text

_OWN = """
with own as (
    select c.measure, c.p1, c.p2, c.h, c.m, c.cell, c.value
    from contributions c join declared d on d.measure = c.measure
    where d.shape = {shape} and c.cell < d.domain{who}
),"""

_WITHOUT_COPIES = """
copies as (
    select *, row_number() over (partition by measure, p1, p2, m order by h, cell, value) as copy from own
),
messages as (
    select * from copies where copy = 1
),"""

_IN_CELLS = """
placed as (
    select measure, p1, p2, h, m, cast(cell as bigint) as cell, value from {messages}
),"""

_IN_KEYS = """
placed as (
    select measure, p1, p2, h, m, cast(value as bigint) * 4294967296 + cell as cell, 0 as value from {messages}
),"""
"""The 64 bits of a key, as a signed number."""

_IN_STEPS = """
steps as (
    select *, lag(cast(cell as bigint)) over (
        partition by measure, p1, p2 order by mod(cast(value as bigint) - {anchor} + 4294967296, 2147483648), m
    ) as origin
    from {messages}
),
placed as (
    select measure, p1, p2, h, m, origin * {states} + cell as cell, 0 as value from steps where origin is not null
),"""
"""`value` is a time modulo 2^31; it runs from `anchor`."""

_ALL_STEPS = """
in_cell as (
    select *, row_number() over (partition by measure, p1, p2, cell order by h, m) as nth from placed
),
in_window as (
    select *, row_number() over (partition by measure, p1, p2 order by h, m) as place from in_cell where nth <= {per_cell}
)
select measure, p1, p2, cell, value, place from in_window where place <= {per_window}
"""

_SHORT_CUT = """
in_cell as (
    select measure, p1, p2, {smallest} as first from placed group by measure, p1, p2, cell
)
select measure, p1, p2, min(first, {per_window} + 1) as firsts from in_cell group by measure, p1, p2
"""

_FIRST_KEPT = """
select measure, p1, p2,
    unnest(firsts[:{per_window}]) & {cell_bits} as cell, 0 as value, generate_subscripts(firsts[:{per_window}], 1) as place
from firsts where not {tied}
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the text for a measure depends on. Measures of one shape are bounded together."""

    placed: str
    per_window: int
    per_cell: int
    has_short_cut: bool

    @classmethod
    def of(cls, measure: Measure, anchor: int) -> Shape:
        """A measure's shape; `anchor` is the tenth of a second modulo 2^31 from which the times of steps run."""
        placed, bounds = _IN_CELLS, measure.bounds
        if measure.kind is Kind.KEYS:
            placed = _IN_KEYS
        elif measure.kind is Kind.TRANSITIONS:
            placed = _IN_STEPS.replace("{anchor}", str(anchor)).replace("{states}", str(domain(measure)))
        counts = measure.value is None and 0 < measure.cells <= 1 << CELL_BITS
        return cls(placed, bounds.per_window, bounds.per_cell, counts and bounds.per_window <= LONGEST)

    def all_steps(self, own: str, *, copies: bool) -> str:
        """Of a message's copies the first (where there are `copies`), then `per_cell` rows to a cell, then `per_window`, by `h` and `m`."""
        placed = self.placed.replace("{messages}", "messages" if copies else "own")
        bounded = _ALL_STEPS.format(per_cell=self.per_cell, per_window=self.per_window)
        return own + (_WITHOUT_COPIES if copies else "") + placed + bounded

    def short_cut(self, own: str) -> str:
        """For each person the smallest keys, one more than count, where a key is the upper bits of `h` and then the cell."""
        key = f"(h & ({-1 << CELL_BITS})) | cell"
        smallest = f"min({key})" if self.per_cell == 1 else f"unnest(min({key}, {self.per_cell}))"
        placed = self.placed.replace("{messages}", "own")
        return own + placed + _SHORT_CUT.format(smallest=smallest, per_window=self.per_window)

    @property
    def tied_people(self) -> str:
        """The people about whom the short cut cannot tell."""
        return f"select measure, p1, p2 from firsts where {self.tied}"  # noqa: S608 - made of our own text

    @property
    def tied(self) -> str:
        """Whether the part of `h` in the last key that counts is also in the next, so that the rest of `h` has to decide."""
        last, following = self.per_window, self.per_window + 1
        return f"coalesce(firsts[{last}] >> {CELL_BITS} = firsts[{following}] >> {CELL_BITS}, false)"

    @property
    def first_kept(self) -> str:
        """The rows that count of the people about whom the short cut can tell."""
        return _FIRST_KEPT.format(per_window=self.per_window, cell_bits=(1 << CELL_BITS) - 1, tied=self.tied)


def own(shape: int, *conditions: str) -> str:
    """The rows of one shape whose cells are in the domain and on whose people the conditions hold."""
    return _OWN.format(shape=shape, who="".join(f" and {condition}" for condition in conditions))


def between(first: int, last: int) -> str:
    """People by a range of `p1`, both ends included."""
    return f"c.p1 between cast({first} as ubigint) and cast({last} as ubigint)"


def domain(measure: Measure) -> int:
    """How many values the column `cell` of a measure's staged rows may have."""
    if measure.kind is Kind.KEYS:
        return 1 << 32
    return measure.dimensions[0].size if measure.kind is Kind.TRANSITIONS else measure.cells
