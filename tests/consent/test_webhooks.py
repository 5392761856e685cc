"""Webhooks against a real receiver: told if and only if it was committed, signed, repeated, given up, and never about a person by name."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import datetime

import pytest

from consent import outbox
from consent.deliveries import Deliveries, Sent
from consent.outbox import Event
from consent.webhooks import MOST, UnknownWebhook, Webhooks
from tacit.core.db import writing
from tacit.core.errors import Conflict
from tacit.core.outgoing import FIRST_WAIT_MS, GIVE_UP_MS, LONGEST_WAIT_MS, WebhookUrlRefused, wait_ms
from tacit.core.rootkey import RootKey, RootKeyUnusable
from tacit.core.webhook_signing import TOLERANCE_SECONDS, WebhookInvalid, headers, new_secret, signature, verify
from tests.consent.receiver import Receiver, receiving
from tests.consent.support import CANARY, SITE, START_MS, Room, asking

ROOT = RootKey(b"r" * 32)
DAY_MS = 86_400_000


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as kept:
        yield kept


@pytest.fixture
def hooks(here: Room) -> Webhooks:
    return Webhooks(here.engine, ROOT, here.clock)


def deliver(here: Room, hooks: Webhooks) -> Sent:
    return Deliveries(here.engine, hooks, here.clock).once()


def told(receiver: Receiver) -> list[tuple[str, str]]:
    return [(content["type"], content["data"]["purpose"]) for content in (json.loads(body) for _, body in receiver.received)]


def states(hooks: Webhooks) -> list[tuple[str, int, str | None]]:
    return [(m["state"], m["attempts"], m["outcome"]) for m in hooks.messages(SITE, "mail")["messages"]]


def test_each_change_arrives_signed_and_names_its_receipt_and_nobody(here: Room, hooks: Webhooks, receiver: Receiver) -> None:
    secret = hooks.put(SITE, "mail", url=receiver.url, events=list(Event))["secret"]
    receipt = here.receipts.verify(here.service.record(SITE, asking(measurement=True, personalisation=False)))
    here.service.withdraw(SITE, "user", CANARY, ["measurement"])
    assert deliver(here, hooks) == Sent(delivered=2)
    assert told(receiver) == [("consent.granted", "measurement"), ("consent.withdrawn", "measurement")]
    sent, body = receiver.received[0]
    assert verify(secret, sent, body=body, now_seconds=START_MS // 1000) == sent["webhook-id"]
    data = json.loads(body)["data"]
    assert data["receipt_id"] == receipt["receipt_id"]
    assert data["notice"]["id"] == "banner"
    pseudonym = here.subjects.pseudonym(SITE, "user", CANARY)
    everything = b"".join(body + repr(head).encode() for head, body in receiver.received)
    assert CANARY.encode() not in everything
    assert pseudonym.hex().encode() not in everything
    assert base64.b64encode(pseudonym) not in everything


def test_a_refusal_that_ends_a_grant_is_told_and_any_other_is_not(here: Room, hooks: Webhooks, receiver: Receiver) -> None:
    hooks.put(SITE, "mail", url=receiver.url, events=[Event.WITHDRAWN])
    for granted in (False, True, False):
        here.service.record(SITE, asking(measurement=granted))
    deliver(here, hooks)
    assert told(receiver) == [("consent.withdrawn", "measurement")]


def test_a_change_that_is_rolled_back_is_not_told(here: Room, hooks: Webhooks, receiver: Receiver) -> None:
    hooks.put(SITE, "mail", url=receiver.url, events=list(Event))
    here.staged.fail = True
    with pytest.raises(RuntimeError):
        here.service.withdraw(SITE, "user", CANARY)
    assert deliver(here, hooks) == Sent()


def test_a_repeated_request_is_told_once(here: Room, hooks: Webhooks, receiver: Receiver) -> None:
    hooks.put(SITE, "mail", url=receiver.url, events=list(Event))
    for _ in range(3):
        here.service.record(SITE, asking(), idempotency_key="once")
    assert deliver(here, hooks) == Sent(delivered=1)
    assert deliver(here, hooks) == Sent()


def test_a_failed_attempt_is_repeated_under_the_same_id_with_a_new_time(here: Room, hooks: Webhooks, receiver: Receiver) -> None:
    receiver.answers = [500, 307, 204]
    hooks.put(SITE, "mail", url=receiver.url, events=list(Event))
    here.service.record(SITE, asking())
    assert deliver(here, hooks) == Sent(put_off=1)
    assert deliver(here, hooks) == Sent(), "not before its time"
    here.clock.at_ms += 2 * FIRST_WAIT_MS
    assert deliver(here, hooks) == Sent(put_off=1), "a redirect is a failure and is not followed"
    here.clock.at_ms += 8 * FIRST_WAIT_MS
    assert deliver(here, hooks) == Sent(delivered=1)
    assert len({sent["webhook-id"] for sent, _ in receiver.received}) == 1
    assert len({sent["webhook-timestamp"] for sent, _ in receiver.received}) == 3
    assert len(receiver.received) == 3
    assert states(hooks) == [("delivered", 3, "204")]


def test_one_failing_webhook_is_tried_once_a_pass_and_holds_up_no_other(here: Room, hooks: Webhooks, receiver: Receiver) -> None:
    with receiving() as broken:
        broken.answers = [503]
        hooks.put(SITE, "mail", url=receiver.url, events=list(Event))
        hooks.put(SITE, "broken", url=broken.url, events=list(Event))
        for who in "abcde":
            here.service.record(SITE, asking(who))
        assert deliver(here, hooks) == Sent(delivered=5, put_off=5)
        assert len(broken.received) == 1


def test_nobody_listening_and_silence_are_failures_too(here: Room, hooks: Webhooks) -> None:
    with receiving() as closed:
        url = closed.url
    hooks.put(SITE, "mail", url=url, events=list(Event))
    here.service.record(SITE, asking())
    assert deliver(here, hooks) == Sent(put_off=1)
    assert states(hooks) == [("pending", 1, "no_connection")]


def test_after_three_days_a_message_is_dead_and_can_be_sent_again(here: Room, hooks: Webhooks, receiver: Receiver) -> None:
    receiver.answers = [500]
    hooks.put(SITE, "mail", url=receiver.url, events=list(Event))
    here.service.record(SITE, asking())
    attempts = 0
    while states(hooks)[0][0] == "pending":
        deliver(here, hooks)
        attempts += 1
        pending = hooks.messages(SITE, "mail")["messages"][0]["next_at"]
        if pending:
            here.clock.at_ms = round(datetime.fromisoformat(pending).timestamp() * 1000)
    assert 10 < attempts < 20
    assert here.clock.at_ms - START_MS <= GIVE_UP_MS
    assert deliver(here, hooks) == Sent()
    assert hooks.get(SITE, "mail")["messages"] == {"pending": 0, "delivered": 0, "dead": 1}
    receiver.answers = [200]
    assert hooks.retry(SITE, "mail") == 1
    assert deliver(here, hooks) == Sent(delivered=1)


def test_a_receiver_that_is_gone_gets_nothing_again(here: Room, hooks: Webhooks, receiver: Receiver) -> None:
    receiver.answers = [410]
    hooks.put(SITE, "mail", url=receiver.url, events=list(Event))
    here.service.record(SITE, asking())
    assert deliver(here, hooks) == Sent(dead=1)


def test_two_workers_never_send_one_message_twice(here: Room, hooks: Webhooks, receiver: Receiver) -> None:
    from consent import webhooks_store as store

    hooks.put(SITE, "mail", url=receiver.url, events=list(Event))
    here.service.record(SITE, asking())
    with writing(here.engine) as connection:
        assert len(store.take_due(connection, now_ms=START_MS, lease_ms=60_000, limit=10)) == 1
    assert deliver(here, hooks) == Sent(), "somebody else is sending it"
    here.clock.at_ms += 60_000
    assert deliver(here, hooks) == Sent(delivered=1), "whoever had it is dead"


def test_a_lapse_is_told_once_and_what_lapsed_before_the_first_look_is_not(here: Room, hooks: Webhooks, receiver: Receiver) -> None:
    here.service.record(SITE, asking("before"))
    here.clock.at_ms += 181 * DAY_MS
    hooks.put(SITE, "mail", url=receiver.url, events=[Event.EXPIRED])
    outbox.announce_lapses(here.engine, SITE, now_ms=here.clock.at_ms)
    here.service.record(SITE, asking("stays"))
    here.service.record(SITE, asking("leaves"))
    here.service.withdraw(SITE, "user", "leaves")
    for _ in range(3):
        here.clock.at_ms += 90 * DAY_MS
        outbox.announce_lapses(here.engine, SITE, now_ms=here.clock.at_ms)
    deliver(here, hooks)
    assert told(receiver) == [("consent.expired", "measurement")]
    assert json.loads(receiver.received[0][1])["data"]["state"] == "expired"


def test_stale_grants_are_told_by_the_records_they_rest_on(here: Room, hooks: Webhooks, receiver: Receiver) -> None:
    hooks.put(SITE, "mail", url=receiver.url, events=[Event.STALE])
    here.service.record(SITE, asking("a"))
    here.service.record(SITE, asking("b"))
    with writing(here.engine) as connection:
        outbox.stale(connection, SITE, [2], now_ms=START_MS)
    deliver(here, hooks)
    assert told(receiver) == [("consent.stale", "measurement")]


def test_waits_grow_fourfold_to_half_a_day_and_are_never_all_alike() -> None:
    for attempts in range(1, 40):
        middle = min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 4 ** (attempts - 1))
        assert all(0.8 * middle - 1 <= wait_ms(attempts) <= 1.2 * middle + 1 for _ in range(50))
    assert len({wait_ms(20) for _ in range(20)}) > 1


def test_a_copy_a_change_and_another_secret_are_refused() -> None:
    secret, body, now = new_secret(), b'{"type":"consent.granted"}', 1_700_000_000
    sent = headers(secret, "msg_1", at_seconds=now, body=body)
    assert verify(secret, sent, body=body, now_seconds=now + TOLERANCE_SECONDS) == "msg_1"
    assert verify(secret, sent | {"webhook-signature": f"v1,AAAA v2,x {sent['webhook-signature']}"}, body=body, now_seconds=now) == "msg_1"
    for changed, content, later in (
        (sent, body + b" ", now),
        (sent | {"webhook-id": "msg_2"}, body, now),
        (sent | {"webhook-timestamp": str(now + 1)}, body, now),
        (sent | {"webhook-timestamp": "soon"}, body, now),
        (sent | {"webhook-signature": ""}, body, now),
        (sent | {"webhook-signature": "v1,é"}, body, now),
        (sent | {"webhook-signature": sent["webhook-signature"].removeprefix("v1,")}, body, now),
        ({}, body, now),
        (sent, body, now + TOLERANCE_SECONDS + 1),
        (sent, body, now - TOLERANCE_SECONDS - 1),
    ):
        with pytest.raises(WebhookInvalid):
            verify(secret, changed, body=content, now_seconds=later)
    with pytest.raises(WebhookInvalid):
        verify(new_secret(), sent, body=body, now_seconds=now)
    with pytest.raises(WebhookInvalid):
        signature("whsec_c2hvcnQ=", "msg_1", at_seconds=now, body=body)


def test_the_reference_library_accepts_our_signatures() -> None:
    reference = pytest.importorskip("standardwebhooks", reason="the package standardwebhooks is not installed")
    import time

    secret, body = new_secret(), b'{"type":"consent.granted"}'
    sent = headers(secret, "msg_1", at_seconds=int(time.time()), body=body)
    assert reference.Webhook(secret).verify(body, sent) == {"type": "consent.granted"}


def test_a_secret_is_shown_once_and_stored_wrapped(here: Room, hooks: Webhooks, receiver: Receiver) -> None:
    first = hooks.put(SITE, "mail", url=receiver.url, events=[Event.GRANTED])["secret"]
    assert "secret" not in hooks.put(SITE, "mail", url=receiver.url, events=list(Event))
    assert "secret" not in hooks.get(SITE, "mail")
    assert "secret" not in json.dumps(hooks.list(SITE))
    assert first.encode() not in (here.path / "intake.db").read_bytes() + (here.path / "intake.db-wal").read_bytes()
    assert hooks.put(SITE, "mail", url=receiver.url, events=list(Event), rotate_secret=True)["secret"] != first
    here.service.record(SITE, asking())
    with pytest.raises(RootKeyUnusable):
        Deliveries(here.engine, Webhooks(here.engine, RootKey(b"x" * 32), here.clock), here.clock).once()


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/hook",
        "ftp://127.0.0.1/",
        "https://user:pass@example.org/",
        "https://user@example.org/",
        "https:///nowhere",
        "https://example.org/#part",
        "https://example.org:99999/",
        "http://127.0.0.1.example.org/",
        "http://2130706433/",
        "https://example.org/a b",
        "https://exämple.org/",
        "https://example.org/\n",
        "//example.org/",
        "https://[::1",
    ],
)
def test_an_address_that_could_leak_is_refused(hooks: Webhooks, url: str) -> None:
    with pytest.raises(WebhookUrlRefused):
        hooks.put(SITE, "mail", url=url, events=[Event.GRANTED])
    assert hooks.list(SITE)["webhooks"] == []


def test_webhooks_of_a_site_are_its_own_few_and_go_with_their_messages(here: Room, hooks: Webhooks, receiver: Receiver) -> None:
    hooks.put("other", "mail", url=receiver.url, events=list(Event))
    here.service.record(SITE, asking())
    assert deliver(here, hooks) == Sent()
    for number in range(MOST):
        hooks.put(SITE, f"mail-{number}", url="https://example.org/hook", events=list(Event))
    with pytest.raises(Conflict):
        hooks.put(SITE, "one-more", url="https://example.org/hook", events=list(Event))
    here.service.record(SITE, asking("b"))
    assert hooks.get(SITE, "mail-0")["messages"]["pending"] == 1
    hooks.delete(SITE, "mail-0")
    for missing in (lambda: hooks.get(SITE, "mail-0"), lambda: hooks.delete(SITE, "mail-0"), lambda: hooks.retry(SITE, "mail-0")):
        with pytest.raises(UnknownWebhook):
            missing()
