"""What can be wrong with a table or a request that the auditor is handed."""

from __future__ import annotations

from tacit.core.errors import Problem


class TableRefused(Problem):
    """A table that cannot be judged, above all one that does not say how much noise is in it."""

    type = "table-refused"
    title = "The table cannot be judged"
    default_next_step = (
        'Give "id", "limit", "mechanism" {"name": "discrete_gaussian", "discrete_laplace" or "none", "sd"} '
        'and "cells" [{"group", "bin": "1" or "0", "value"}].'
    )


class ReleaseMismatch(Problem):
    """Releases of another measure, or of an older definition of it, were handed in together."""

    type = "release-mismatch"
    title = "The releases do not belong together"
    default_next_step = "Scan the releases of one measure definition at a time."


class TrendBusy(Problem):
    """Many scans of one audit ran at the same time."""

    type = "trend-busy"
    title = "Other scans of this audit are running"
    default_next_step = "Scan again in a moment."
