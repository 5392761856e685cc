"""What can be wrong with a table or a request that the auditor is handed."""

from __future__ import annotations

from tacit.core.errors import InvalidRequest, NotFound, Problem


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


class NoSuchScan(NotFound):
    """A scan that is not stored, or whose audit is gone."""

    type = "no-such-scan"
    title = "There is no such scan"
    default_next_step = "List the scans with `GET /v1/audits`, or run one with `tacit scan`."


class UnknownPreset(InvalidRequest):
    """A preset that does not exist."""

    type = "unknown-preset"
    title = "Unknown preset"


class PdfUnavailable(Problem):
    """The extra `pdf` is not installed."""

    type = "pdf-unavailable"
    title = "PDF is not available"
    default_next_step = "Install Tacit with its extra `pdf`; JSON and HTML need nothing more."
