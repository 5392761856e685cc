"""One site of the service as a front end sees it: requests with its keys, events in batches, and the bundle that is published for it.

What the service answers to groups of visitors is counted in a `Tally`.
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

from tacit.core.errors import Problem
from tacit.demo.arrivals import Visitor

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


class Door:
    """The service's HTTP door for one site and policy, with one connection for each thread."""

    def __init__(self, base_url: str, keys: Mapping[str, str], *, site: str, policy: str) -> None:
        self._base_url, self._keys, self._site, self.policy = base_url, keys, site, policy
        self._local = threading.local()
        self._clients: list[httpx.Client] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            while self._clients:
                self._clients.pop().close()
            self._local = threading.local()

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

    def bundle(self) -> dict[str, Any] | None:
        """What the newest published bundle says; None before the first."""
        try:
            signed = self.read(f"/v1/bundles/{self._site}", "app")
        except _Missing:
            return None
        payload = str(signed["payload"])
        return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))

    def bundle_version(self) -> int:
        """Version of the newest published bundle; 0 before the first."""
        return int(found["version"]) if (found := self.bundle()) else 0

    def deciding_version(self) -> int:
        """Version of the bundle that decisions are made with; 0 when there is none."""
        try:
            return int(self.decide({})["bundle"])
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

    def consent(
        self, subject: str, purposes: Mapping[str, bool], *, opted_out: bool, notice: Mapping[str, str] = NOTICE, **others: Any
    ) -> None:
        """Send one person's choices. `others` are more members of the request, such as `age_band`."""
        body = {"subject": subject, "purposes": dict(purposes), "notice": dict(notice), "method": "banner", **others}
        headers = {"idempotency-key": f"demo-{subject}"} | _signal(opted_out)
        self._request("POST", "/v1/consents", body=body, headers=headers)

    def decide(self, context: Mapping[str, str]) -> dict[str, Any]:
        """A decision, asked with a unit that lives for this question only."""
        return self._request("POST", "/v1/adjust", body={"policy": self.policy, "context": dict(context), "unit": secrets.token_hex(8)})

    def send(self, events: Sequence[dict[str, Any]], tally: Tally, *, opted_out: bool) -> None:
        """Send events in batches. The signal is a header, so those who send it have batches of their own."""
        for batch in _batches(events):
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
