"""The door: events in, sealed contributions out. Nothing else of an event survives the call.

The order is the promise: parse, ask the gate, and only then make rows, each purpose under its own consent and its own keys, inside the
window that the shared lock holds open. Identifiers are hashed here and appear in no row, answer or log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from consent.forwarding import Forwarding
from consent.gate import Gate, Outcome, decide
from consent.models import Standing
from consent.subjects import Subjects
from ingest.custody import Custody
from ingest.errors import EpochKeyLost
from ingest.events import Event, parse
from ingest.plans import Contribution, Refused, SitePlan
from ingest.pseudonyms import PurposeKeys
from ingest.recent import Recent, recall
from ingest.rows import PACKING
from ingest.spelling import Speller
from ingest.staging import Staging
from ingest.windows import Window
from tacit.core.clock import Clock
from tacit.core.declaration import BOOKKEEPING, Declaration
from tacit.core.errors import StorageUnavailable, UnknownSite
from tacit.core.logs import Log
from tacit.core.mac import Mac, subject_bytes

ID_LIMIT, SUBJECT_LIMIT, ID_TYPE_LIMIT = 128, 256, 64
FUTURE = timedelta(minutes=5)
PAST = timedelta(hours=24)

Admitted = tuple[bytes, bytes, Sequence[Contribution]]
"""A person's identifying bytes, the message id, and what the person allowed of the event's contributions."""

_NOTHING: Mapping[str, Standing] = {}

_encode = msgspec.json.Encoder().encode
_log = Log("door")


class _Keys:
    """One site's keys while one window is open."""

    __slots__ = ("epoch_ms", "order", "purposes", "speller", "window_start")

    def __init__(self, window_start: int, epoch_ms: int, secret: bytes, window_key: bytes, purposes: Sequence[str]) -> None:
        self.window_start, self.epoch_ms = window_start, epoch_ms
        self.order, self.speller = Mac(window_key), Speller(window_key)
        self.purposes = {purpose: PurposeKeys(secret, purpose) for purpose in purposes}


class Door:
    """Accepts batches of events for all sites. Also counts consent choices (`consent.ports.ChoiceCounter`)."""

    def __init__(self, declaration: Declaration, gate: Gate, subjects: Subjects, custody: Custody, staging: Staging, clock: Clock) -> None:
        self._plans = {name: SitePlan(site) for name, site in declaration.sites.items()}
        self._gate, self._custody, self._staging, self._clock = gate, custody, staging, clock
        self._forwarding = Forwarding(subjects)
        self._keys: dict[str, _Keys] = {}
        self._recent: dict[str, Recent] = {}

    def accept(self, site: str, body: bytes, *, gpc: bool) -> bytes:
        """Stage a batch and answer with the JSON verdict, to be sent once the staging area is synced.

        Raises `InvalidRequest`, `RequestTooLarge`, `UnknownSite`, and `StorageUnavailable` when nothing was accepted.
        """
        plan = self._plans.get(site)
        if plan is None:
            raise UnknownSite()
        refused: Counter[str] = Counter()
        rejected: list[dict[str, str | int]] = []
        measured: list[tuple[Event, list[Contribution]]] = []
        now_ms = self._clock.now_ms()
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        latest, oldest = now + FUTURE, now - PAST
        for index, event in enumerate(parse(body)):
            try:
                if isinstance(event, str):
                    raise Refused(event)
                _require_sound(event, latest, oldest)
                contributions = plan.contributions(event)
            except Refused as refusal:
                rejected.append({"index": index, "code": refusal.code})
                continue
            if contributions:
                measured.append((event, contributions))
            else:
                refused["not_measured"] += 1
        admitted = self._ask(site, measured, refused, gpc=gpc, now_ms=now_ms) if measured else []
        accepted = self._stage(site, plan, admitted, refused) if admitted else 0
        return _encode({"accepted": accepted, "refused": refused, "rejected": rejected})

    def count(self, site: str, id_type: str, subject: str, choices: Mapping[str, str]) -> None:
        """Count consent choices where the site declares `consent_choices`. Never fails: a lost count must not lose a choice."""
        try:
            plan = self._plans[site]
            measure = plan.choices
            if measure is None:
                return
            purposes, answers = (d.values for d in measure.dimensions)
            person, now_ms = subject_bytes(id_type, subject), self._clock.now_ms()
            admitted: list[Admitted] = []
            for purpose, choice in choices.items():
                if purpose in purposes and choice in answers:
                    cell = purposes.index(purpose) * len(answers) + answers.index(choice)
                    message = f"{purpose} {choice} {now_ms}".encode()
                    admitted.append((person, message, [(BOOKKEEPING, measure.id, cell, 1)]))
            if admitted and self._stage(site, plan, admitted, Counter()):
                self._staging.sync()
        except Exception as error:
            _log.fault("choices.uncounted", error)

    def forget_recent(self) -> None:
        """After a failed sync: a resent event must be staged again, not called a duplicate, and its texts spelled again."""
        # Blank, not absent: reading the files again would find the very rows that may not be on the disk.
        self._recent = {site: Recent(recent.window_start) for site, recent in self._recent.items()}
        for keys in list(self._keys.values()):
            keys.speller.forget()

    def settled(self) -> None:
        """Wait until everybody who was met under an older lookup key has been moved. For tests and the end of a process."""
        self._forwarding.settled()

    def tidy(self) -> bool:
        """Let go of the keys of windows that are over; whether any are still held. For a process without traffic to call."""
        self._staging.retire_closed()
        for site, keys in list(self._keys.items()):
            window = self._staging.book(site).current()
            if window is None or window.start != keys.window_start or self._clock.now_ms() >= window.end:
                self._keys.pop(site, None)
        return bool(self._keys)

    def _ask(
        self, site: str, measured: list[tuple[Event, list[Contribution]]], refused: Counter[str], *, gpc: bool, now_ms: int
    ) -> list[Admitted]:
        """The contributions that the people concerned allow, by one look at the gate."""
        people: dict[tuple[str, str], bytes] = {}
        for event, _ in measured:
            who = (event.id_type, event.subject)
            if who not in people:
                people[who] = subject_bytes(*who)
        states, under_older_keys = self._gate.standings(site, list(set(people.values())))
        if under_older_keys:
            self._forwarding.note(site, under_older_keys)
        decisions: dict[Standing | None, str] = {}
        admitted: list[Admitted] = []
        for event, contributions in measured:
            person = people[event.id_type, event.subject]
            said = states.get(person, _NOTHING)
            allowed, reason = [], ""
            for contribution in contributions:
                standing = said.get(contribution[0])
                against = decisions.get(standing)
                if against is None:
                    decision = decide(standing, gpc=gpc, now_ms=now_ms)
                    against = decisions[standing] = "" if decision.outcome is Outcome.ALLOW else str(decision.reason)
                if not against:
                    allowed.append(contribution)
                else:
                    reason = reason or against
            if allowed:
                admitted.append((person, event.id.encode(), allowed))
            else:
                refused[reason] += 1
        return admitted

    def _stage(self, site: str, plan: SitePlan, admitted: Sequence[Admitted], refused: Counter[str]) -> int:
        """Make rows and stage them; how many events were taken. Duplicates and a lost key are added to `refused`."""
        fresh: set[bytes] = set()
        spelled: dict[bytes, bytes] = {}
        taken = 0

        def make_rows(window: Window) -> bytes:
            nonlocal taken
            keys = self._keys_for(site, plan, window)
            recent = self._recent_of(site, window)
            rows, taken = _rows(admitted, keys, recent, fresh, spelled)
            return rows

        try:
            self._staging.append(site, make_rows)
        except EpochKeyLost:
            refused["epoch_key_lost"] += len(admitted)
            return 0
        if taken < len(admitted):
            refused["duplicate"] += len(admitted) - taken
        recent = self._recent.get(site)
        if recent is not None:
            recent.add(fresh)
        keys = self._keys.get(site)
        if keys is not None and spelled:
            keys.speller.remember(spelled)
        return taken

    def _keys_for(self, site: str, plan: SitePlan, window: Window) -> _Keys:
        found = self._keys.get(site)
        if found is not None and found.window_start == window.start:
            return found
        self._keys.pop(site, None)
        epoch_ms, end_ms = plan.site.privacy.span_of(window.start)
        secret = self._custody.epoch_secret(site, epoch_ms, end_ms)
        window_key = self._custody.window_key(site, window.start, create=True)
        if window_key is None:
            raise StorageUnavailable("the window has no key")
        made = self._keys[site] = _Keys(window.start, epoch_ms, secret, window_key, plan.purposes)
        return made

    def _recent_of(self, site: str, window: Window) -> Recent:
        found = self._recent.get(site)
        if found is None:
            found = self._recent[site] = recall(self._staging, site, window)
        found.move_to(window.start)
        return found


def _rows(admitted: Sequence[Admitted], keys: _Keys, recent: Recent, fresh: set[bytes], spelled: dict[bytes, bytes]) -> tuple[bytes, int]:
    """Packed rows of all messages that are new, and how many events they come from. The messages are added to `fresh`.

    Texts that no declaration knows are spelled out in front of the rows that count them, and added to `spelled`.
    """
    pack, order, purposes = PACKING.pack, keys.order.digest, keys.purposes
    current, previous, halves = recent.current, recent.previous, keys.speller.halves
    rows: list[bytes] = []
    taken = 0
    for person, message, contributions in admitted:
        before, last, new = len(rows), "", False
        for purpose, measure_id, cell, value in contributions:
            if purpose != last:  # measures of one purpose stand together
                last = purpose
                hashed = purposes[purpose]
                pseudonym = hashed.person.digest(person)
                keyed = pseudonym + message
                m = hashed.message.digest(keyed)[:8]
                new = m not in current and m not in previous and m not in fresh
                if new:
                    h = order(keyed)
                    fresh.add(m)
            if new:
                if type(cell) is not bytes:
                    rows.append(pack(pseudonym, h, m, measure_id, cell, value))
                else:
                    rows.append(pack(pseudonym, h, m, measure_id, *halves(measure_id, cell, spelled)))
        taken += len(rows) > before
    return b"".join([*spelled.values(), *rows]), taken


def _require_sound(event: Event, latest: datetime, oldest: datetime) -> None:
    """Raises `Refused` where an identifier or the time of a well-formed event cannot be used."""
    subject, at = event.subject, event.at
    if not (0 < len(event.id) <= ID_LIMIT and 0 < len(subject) <= SUBJECT_LIMIT and 0 < len(event.id_type) <= ID_TYPE_LIMIT):
        raise Refused("bad_id")
    if subject.isspace():
        raise Refused("bad_id")
    if at.tzinfo is None:
        raise Refused("at_without_zone")
    if at > latest:
        raise Refused("clock_skew")
    if at < oldest:
        raise Refused("too_old")
