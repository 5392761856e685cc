"""`tacit replay`: a file of events through the HTTP door, in batches, with a progress bar and retries that count nothing twice."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from tacit.core.errors import Problem

BATCH = 50
ATTEMPTS = 6


def replay(path: Path, *, site: str, url: str, key: str) -> dict[str, Any]:
    """Send every line; returns `{accepted, refused, rejected}` with line numbers instead of indices.

    Lines that are not JSON are rejected here and never sent.
    """
    if not key:
        step = "Give --key or set TACIT_KEY; `tacit keys create --site … --role write` makes one."
        raise Problem("a key is needed", next_step=step)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path} cannot be read", next_step="Name a file with one JSON event a line.") from error
    events: list[tuple[int, Any]] = []
    rejected: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            events.append((number, json.loads(line)))
        except ValueError:
            rejected.append({"line": number, "code": "malformed"})
    accepted, refused = 0, Counter[str]()
    columns = ("[progress.description]{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=30) as client,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("Events", total=len(events))
        for start in range(0, len(events), BATCH):
            batch = events[start : start + BATCH]
            verdict = _post(client, site, [event for _, event in batch])
            accepted += verdict["accepted"]
            refused.update(verdict["refused"])
            rejected += [{"line": batch[r["index"]][0], "code": r["code"]} for r in verdict["rejected"]]
            progress.advance(task, len(batch))
    return {"accepted": accepted, "refused": dict(refused), "rejected": sorted(rejected, key=lambda r: r["line"])}


def _post(client: httpx.Client, site: str, events: list[Any]) -> dict[str, Any]:
    for attempt in range(ATTEMPTS):
        try:
            answer = client.post("/v1/events", params={"site": site}, json={"events": events})
        except httpx.TransportError as error:
            if attempt == ATTEMPTS - 1:
                raise Problem("the service does not answer", next_step="Is `tacit serve` running, and is --url right?") from error
        else:
            if answer.status_code == 200:
                return dict(answer.json())
            if answer.status_code not in (429, 503):
                body = answer.json()
                raise Problem(f"{body.get('title')}: {body.get('detail')}", next_step=body.get("next_step", ""))
        time.sleep(0.5 * 2**attempt)
    raise Problem("the service keeps refusing", next_step="Look at its log; the same file may be sent again, nothing is counted twice.")
