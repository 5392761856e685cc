"""Context cells and their keys: labels joined by `|` in declared order, the same in releases, bundles, decisions and the browser."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tacit.core.declaration import Dimension

SEPARATOR = "|"


def cell_keys(context: Sequence[Dimension]) -> list[str]:
    """The keys of all cells in the order of a release's vector (the last dimension varies fastest).

    >>> cell_keys([Dimension("device", ("mobile",)), Dimension("daypart", ("day", "night"), closed=True)])
    ['mobile|day', 'mobile|night', 'other|day', 'other|night']
    >>> cell_keys([])
    ['']
    """
    return [SEPARATOR.join(labels) for labels in itertools.product(*(d.labels for d in context))]
