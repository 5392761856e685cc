"""The newest bundle of each site in memory: decisions, bundle requests and pushes are answered from it, and none waits for a database.

The invariant: a bundle that fails its signature is not taken; the last good one stays.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from adjust.bundle import PART_TYPE, Payload
from adjust.decide import Decider
from adjust.store import BundleStore
from tacit.core import jws, logs
from tacit.core.clock import from_iso
from tacit.core.evidence import canonical
from tacit.core.rootkey import RootKey

POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed bundle, whole or one zone's part of it, as it is sent."""

    body: bytes
    tag: str
    """Entity tag (RFC 9110), quoted."""

    @classmethod
    def of(cls, body: bytes) -> Signed:
        """With the tag of its content."""
        return cls(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


@dataclass(frozen=True, slots=True)
class Current:
    """One site's newest bundle."""

    version: int
    published_ms: int
    payload: Payload
    whole: Signed
    decider: Decider
    shards: dict[str, Signed] = field(default_factory=dict)
    """Parts by zone, each made when it is first asked for."""

    def shard(self, zone: str, root: RootKey) -> Signed | None:
        """The bundle with the policies of one zone alone, signed like the whole and naming its `zone`; None for an unknown zone."""
        found = self.shards.get(zone)
        if found is None:
            policies = {name: entry for name, entry in self.payload["policies"].items() if entry["zone"] == zone}
            if not policies:
                return None
            part = jws.sign(self.payload | {"policies": policies, "zone": zone}, PART_TYPE, root.signing_key())
            found = self.shards[zone] = Signed.of(canonical(part))
        return found


class Deciders:
    """Follows the published bundles of some sites."""

    def __init__(self, bundles: BundleStore, sites: Sequence[str], killed: Callable[[str], Collection[str]] = lambda _site: ()) -> None:
        """`killed` names a site's policies that stand still whatever the bundle says; it is asked on the following thread."""
        self._bundles, self._sites, self._killed = bundles, tuple(sites), killed
        self._current: dict[str, Current] = {}
        self._seen: dict[str, int] = {}
        self._listeners: list[Callable[[str], None]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True, name="bundles")

    def current(self, site: str) -> Decider | None:
        """What decides for a site now; None before the first bundle."""
        found = self._current.get(site)
        return None if found is None else found.decider

    def newest(self, site: str) -> Current | None:
        """The site's newest bundle; None before the first."""
        return self._current.get(site)

    def listen(self, listener: Callable[[str], None]) -> None:
        """Call `listener(site)`, on the following thread, after a newer bundle was taken."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Load what there is and follow what comes."""
        self.refresh()
        self._thread.start()

    def stop(self) -> None:
        """Stop following."""
        self._stop.set()

    def refresh(self) -> None:
        """Take newer bundles, if there are any. Raises `BundleInvalid`, once for each bundle that is not valid."""
        for site in self._sites:
            self._kill(site)
            version = self._bundles.latest_version(site)
            if version is None or version == self._seen.get(site):
                continue
            self._seen[site] = version
            found = self._bundles.latest(site)
            if found is not None:
                signed, payload = found
                self._current[site] = Current(
                    version=payload["version"],
                    published_ms=from_iso(payload["published_at"]),
                    payload=payload,
                    whole=Signed.of(signed.encode()),
                    decider=Decider.from_bundle(payload).with_killed(self._killed(site)),
                )
                for listener in self._listeners:
                    listener(site)

    def _kill(self, site: str) -> None:
        found = self._current.get(site)
        if found is not None:
            decider = found.decider.with_killed(self._killed(site))
            if decider is not found.decider:
                self._current[site] = replace(found, decider=decider)

    def _follow(self) -> None:
        log = logs.Log("bundles")
        while not self._stop.wait(POLL_SECONDS):
            try:
                self.refresh()
            except Exception as error:
                log.fault("work.failed", error)
