"""A report as a tagged PDF (PDF/UA-1) through typst, the extra `pdf`. Equal reports give equal bytes: no date, no system font."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audit.blocks import Block, Chart, Document, Table
from audit.document import document_of
from audit.errors import PdfUnavailable
from audit.reporting import Report

TEMPLATE = Path(__file__).parent / "templates" / "report.typ"
_WIDEST = 40


def render(report: Report) -> bytes:
    """The PDF. Raises `PdfUnavailable`."""
    try:
        import typst
    except ImportError:
        raise PdfUnavailable("typst is not installed") from None
    drawn = _plain(document_of(report.content, sha256=report.sha256))
    made = typst.compile(
        str(TEMPLATE),
        root=str(TEMPLATE.parent),
        ignore_system_fonts=True,
        sys_inputs={"report": json.dumps(drawn)},
        pdf_standards="ua-1",
        timestamp=0,
    )
    if not isinstance(made, bytes):
        raise PdfUnavailable("typst made more than one file")
    return made


def _plain(document: Document) -> dict[str, Any]:
    sections = [{"title": s.title, "blocks": [_block(b) for b in s.blocks]} for s in document.sections]
    return asdict(document) | {"sections": sections}


def _block(block: Block) -> dict[str, Any]:
    found = asdict(block) | {"kind": type(block).__name__}
    if isinstance(block, Chart):
        found |= {"alternative": block.alternative, "longest": block.longest}
    if isinstance(block, Table):
        lengths = [[len(row[i]) for row in (block.columns, *block.rows)] for i in range(len(block.columns))]
        found["widths"] = [min(max(one), _WIDEST) + 2 for one in lengths]
    return found
