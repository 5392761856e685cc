"""A site whose audit finds a skew, an engine that takes corrections, and two officers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert

from audit.findings_store import find
from audit.log import Log
from audit.ports import Change, Price, change_json
from audit.results import ScanResult
from audit.scan import Scanner
from audit.service import Asking, Findings
from audit.store import AuditStore
from audit.tables import alerts
from privacy.releases import ReleaseStore
from tacit.core.access import Caller, KeyStore, Role
from tacit.core.db import connect, reading
from tacit.core.declaration import AuditTerms, Declaration
from tacit.core.errors import Conflict
from tests.audit.examples import MINUTE, FixedClock, audit_measure_of, charge, example_site, release_of, released_vault, trials, with_noise

DAY = 86_400_000
SHARES = {"under_35": 0.4, "35_to_54": 0.35, "55_plus": 0.25}
FAIR = dict.fromkeys(SHARES, (0.5, 0.5))
SKEWED = FAIR | {"55_plus": (0.8, 0.2)}
SUBJECT = "age_band=55_plus exposure larger"


class EngineSaysNo(Conflict):
    type = "engine-says-no"


@dataclass
class Engineer:
    """An engine that keeps what it is told in the caller's transaction, and can be made to refuse."""

    refuses: bool = False
    done: list[dict[str, Any]] = field(default_factory=list)

    def price(self, site: str, policy: str, change: Change) -> Price:
        return Price(0.12, 0.1, 0.01, f"{policy} of {site}: {change.kind} costs 2 points of lift.")

    def act(self, site: str, policy: str, change: Change, *, actor: str, finding: str, connection: Connection) -> None:
        row = {"id": f"act_{len(self.done)}", "site": site, "at_ms": 0, "kind": "engine.acted", "detail": "{}"}
        connection.execute(insert(alerts).values(**row))
        if self.refuses:
            raise EngineSaysNo
        self.done.append({"policy": policy, "actor": actor, "finding": finding, **change_json(change)})


class Office:
    """A released vault with a scanner, a desk and keys."""

    def __init__(self, tmp_path: Path | None = None, terms: AuditTerms | None = None, *, url: str | None = None) -> None:
        site = example_site()
        self.site = replace(site, audits={name: replace(audit, terms=terms or AuditTerms()) for name, audit in site.audits.items()})
        if url is None:
            assert tmp_path is not None
        self.vault: Engine = released_vault(tmp_path) if tmp_path is not None and url is None else connect(str(url))
        self.clock, self.engineer = FixedClock(), Engineer()
        self.log = Log(self.vault, self.clock)
        self.releases, self.store, self.keys = ReleaseStore(self.vault), AuditStore(self.vault), KeyStore(self.vault)
        self.scanner = Scanner(self.releases, self.store, self.log, self.clock, self.engineer)
        declaration = Declaration({"newsroom": self.site})
        self.desk = Findings(self.vault, self.log, self.engineer, self.keys.by_id, declaration, self.clock)
        self.anna, self.ben = self.officer(), self.officer()

    def officer(self, role: Role = Role.OFFICER, site: str = "newsroom") -> Caller:
        return self.keys.identify(self.keys.create(site, role, now_ms=self.clock.ms))

    def publish(self, shown: dict[str, Any], people: int = 200_000) -> None:
        """One window from now on, and the clock a minute later."""
        measure = audit_measure_of(self.site)
        start = self.clock.ms - self.clock.ms % MINUTE + MINUTE
        vector = with_noise(trials(measure, people, SHARES, shown, dict.fromkeys(SHARES, (0.3, 0.3))), 4.0)
        release = release_of(measure, vector, start_ms=start, usable=None)
        charge(self.vault, release)
        assert self.releases.publish([release], self.log)
        self.releases.set_usable(release.id, True, {})
        self.clock.ms = start + MINUTE

    def scan(self) -> ScanResult:
        self.clock.ms += MINUTE
        (result,) = self.scanner.scan(self.site)
        return result

    def found(self) -> str:
        """The id of the finding about the planted skew, opened by a scan of skewed traffic."""
        self.publish(SKEWED)
        opened = self.scan().opened
        return next(f.id for f in self.store.findings("newsroom")[0] if f.subject == SUBJECT and f.id in opened)

    def finding(self, finding_id: str) -> Any:
        with reading(self.vault) as connection:
            return find(connection, "newsroom", finding_id)

    def asks(self, caller: Caller | None = None, **options: Any) -> Asking:
        return Asking(caller or self.anna, "newsroom", **options)

    def history(self, finding_id: str) -> list[str]:
        return [event["action"] for event in self.desk.get("newsroom", finding_id)["history"]]

    def signed(self, finding_id: str) -> None:
        self.desk.sign(self.asks(self.anna), finding_id)
        self.desk.sign(self.asks(self.ben), finding_id)
