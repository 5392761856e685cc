"""The newsroom's front end as the service sees it: consents, decisions, page views and trials of one visitor after the other, over HTTP.

Everything is sent for everybody; what may be counted is the service's decision, and its answers are counted here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import httpx

from tacit.core.clock import SystemClock, iso
from tacit.core.declaration import HOLDOUT
from tacit.core.errors import Problem
from tacit.demo.arrivals import Arrivals, Visitor

POLICY = "headline"
SITE = "newsroom"
BATCH = 50
ATTEMPTS = 6
NOTICE = {
    "id": "demo-notice",
    "version": "1",
    "locale": "en",
    "sha256": hashlib.sha256(b"We count page views, learn which headlines work, and check that they work for all.").hexdigest(),
}


@dataclass
class Tally:
    """What the service answered to a group of visitors."""

    consents: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    opted_out_sent: int = 0
    """Events of people whose browser sends `Sec-GPC: 1`,"""
    opted_out_accepted: int = 0
    """and how many of them were accepted, which must be none."""
    decisions: list[tuple[Visitor, str]] = field(default_factory=list)
    misshown: int = 0

    def add(self, other: Tally) -> None:
        """Add another group's answers."""
        self.consents += other.consents
        self.accepted += other.accepted
        self.refused.update(other.refused)
        self.rejected.update(other.rejected)
        self.opted_out_sent += other.opted_out_sent
        self.opted_out_accepted += other.opted_out_accepted
        self.decisions += other.decisions
        self.misshown += other.misshown


class Newsroom:
    """A front end with one connection for each thread. It sends what a browser would, and reads back as the officer."""

    def __init__(self, base_url: str, keys: Mapping[str, str], arrivals: Arrivals, *, default_arm: str, fair: bool) -> None:
        self._base_url, self._keys, self._fair = base_url, keys, fair
        self._arrivals, self._default_arm = arrivals, default_arm
        self._clock = SystemClock()
        self._local = threading.local()
        self._clients: list[httpx.Client] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            while self._clients:
                self._clients.pop().close()
            self._local = threading.local()

    def serve(self, visitors: Sequence[Visitor]) -> Tally:
        """Let these people come, choose, see a headline, read and click. Raises `Problem` if the service does not answer as it should."""
        tally = Tally()
        events: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
        for visitor in visitors:
            if any(visitor.purposes.values()):  # the others leave the banner alone, and so have no record at all
                self._consent(visitor)
                tally.consents += 1
            events[visitor.gpc] += self._visit(visitor, tally)
        for opted_out, group in events.items():  # the signal is a header, so those who send it have batches of their own
            for batch in _batches(group):
                self._send_events(batch, opted_out, tally)
        return tally

    def read(self, path: str, key: str, **parameters: str | int) -> dict[str, Any]:
        """A JSON document of the service."""
        return self._request("GET", path, key=key, parameters=parameters)

    def read_all(self, path: str, key: str, name: str, **parameters: str | int) -> list[dict[str, Any]]:
        """A whole list, page after page."""
        found: list[dict[str, Any]] = []
        following: dict[str, str | int] = {}
        while True:
            page = self.read(path, key, **parameters, **following)
            found += page[name]
            if not page.get("next"):
                return found
            following = {"cursor": page["next"]}

    def bundle_version(self) -> int:
        """Version of the newest published bundle; 0 before the first."""
        try:
            signed = self.read(f"/v1/bundles/{SITE}", "app")
        except _Missing:
            return 0
        payload = str(signed["payload"])
        return int(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["version"])

    def deciding_version(self) -> int:
        """Version of the bundle that decisions are made with; 0 when there is none."""
        try:
            return int(self._decide({"device": "mobile", "daypart": "day"})["bundle"])
        except _Missing:
            return 0

    def wait_for_bundle(self, *, newer_than: int, seconds: float = 120.0) -> int:
        """Wait until a newer bundle is published and decisions are made with it; returns its version. Raises `Problem`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if (version := self.bundle_version()) > newer_than and self.deciding_version() >= version:
                return version
            time.sleep(0.05)
        raise Problem("no newer bundle was published in time", next_step="Look at the service's log for a failed close or learning step.")

    def _consent(self, visitor: Visitor) -> None:
        body = {"subject": visitor.subject, "purposes": dict(visitor.purposes), "notice": NOTICE, "method": "banner"}
        headers = {"idempotency-key": f"demo-{visitor.subject}"} | _signal(visitor.gpc)
        self._request("POST", "/v1/consents", body=body | {"age_band": visitor.age_band}, headers=headers)

    def _visit(self, visitor: Visitor, tally: Tally) -> list[dict[str, Any]]:
        """One visit: the decision is asked with a unit that lives for this visit only."""
        context = {"device": visitor.device, "daypart": visitor.daypart}
        decision = self._decide(context)
        decided = str(decision["arm"])
        shown = visitor.shown(decided, fair=self._fair)
        tally.decisions.append((visitor, decided))
        tally.misshown += shown != decided
        at = iso(self._clock.now_ms())
        head = {"subject": visitor.subject, "at": at}
        events = [
            {"id": f"{visitor.subject}-{number}", "type": "page", **head, "properties": {"category": category}}
            for number, category in enumerate(visitor.pages)
        ]
        trial = {
            "policy": POLICY,
            "context": context,
            "arm": shown,
            "reward": visitor.clicks(self._arrivals.rates[self._default_arm if shown == HOLDOUT else shown]),
            "bundle": decision["bundle"],
            "groups": {"age_band": visitor.age_band},
        }
        return [*events, {"id": f"{visitor.subject}-trial", "type": "trial", **head, "properties": trial}]

    def _decide(self, context: Mapping[str, str]) -> dict[str, Any]:
        return self._request("POST", "/v1/adjust", body={"policy": POLICY, "context": dict(context), "unit": secrets.token_hex(8)})

    def _send_events(self, batch: Sequence[dict[str, Any]], opted_out: bool, tally: Tally) -> None:
        verdict = self._request("POST", "/v1/events", body={"events": batch}, headers=_signal(opted_out))
        tally.accepted += verdict["accepted"]
        tally.refused.update(verdict["refused"])
        tally.rejected.update(one["code"] for one in verdict["rejected"])
        if opted_out:
            tally.opted_out_sent += len(batch)
            tally.opted_out_accepted += verdict["accepted"]

    def _request(
        self,
        method: str,
        path: str,
        *,
        key: str = "app",
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        parameters: Mapping[str, str | int] | None = None,
    ) -> dict[str, Any]:
        """One request, repeated while the service is busy: consents carry an idempotency key and events an id, so nothing counts twice."""
        sent = {"authorization": f"Bearer {self._keys[key]}", **(headers or {})}
        for attempt in range(ATTEMPTS):
            try:
                answer = self._client().request(method, path, headers=sent, json=body, params=parameters or None)
            except httpx.TransportError as error:
                if attempt == ATTEMPTS - 1:
                    raise Problem("the service does not answer", next_step="Look at its log.") from error
            else:
                if answer.is_success:
                    return dict(answer.json())
                if answer.status_code == 404:
                    raise _Missing(f"{method} {path} answered 404")
                if answer.status_code not in (429, 503):
                    raise Problem(f"{method} {path} answered {answer.status_code}: {_title(answer)}")
            time.sleep(0.05 * 2**attempt)
        raise Problem(f"{method} {path}: the service stayed busy", next_step="Look at its log.")

    def _client(self) -> httpx.Client:
        client: httpx.Client | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = httpx.Client(base_url=self._base_url, timeout=60, trust_env=False)
            with self._lock:
                self._clients.append(client)
        return client


class _Missing(Problem):
    """The path has nothing yet."""

    title = "The service has nothing there"


def _signal(opted_out: bool) -> dict[str, str]:
    return {"sec-gpc": "1"} if opted_out else {}


def _batches(events: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    following = iter(events)
    while batch := list(islice(following, BATCH)):
        yield batch


def _title(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return "not a problem document"
    detail = body.get("detail") if isinstance(body, dict) else None
    return str(detail or "no detail")
