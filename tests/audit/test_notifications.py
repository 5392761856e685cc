"""Who is told of what: written with the scan, signed or encrypted on its way, tried again, and free of figures."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr, ValidationError
from standardwebhooks import Webhook

from audit.deliveries import Notifier
from audit.errors import AddressRefused, UnknownSubscription
from audit.notifications import Channel, Notice
from audit.officer_tables import subscriptions
from audit.scan import SlotTakenOver
from audit.subscriptions import MOST, Subscriptions
from tacit.core.errors import Conflict
from tacit.core.outgoing import WebhookUrlRefused
from tacit.core.rootkey import RootKey
from tacit.core.settings import MailSettings
from tests.audit.desk import DAY, FAIR, SKEWED, Office
from tests.consent.receiver import receiving

ROOT = RootKey(b"r" * 32)
OFFICER = "compliance@example.org"


class Told(Office):
    """An office with subscriptions."""

    def __init__(self, tmp_path: Path, mail: MailSettings | None = None) -> None:
        super().__init__(tmp_path)
        self.subscriptions = Subscriptions(self.vault, ROOT, self.log, self.clock)
        self.notifier = Notifier(self.vault, ROOT, mail or MailSettings(), self.clock)

    def tell(self, name: str, channel: Channel, address: str, *events: Notice) -> dict[str, Any]:
        return self.subscriptions.put(
            "newsroom", name, channel=channel, address=address, events=events or tuple(Notice), actor=self.anna.key_id
        )

    def numbers(self, name: str) -> dict[str, int]:
        return next(s["messages"] for s in self.subscriptions.list("newsroom")["subscriptions"] if s["name"] == name)


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


def test_a_webhook_is_told_of_a_breach_under_a_signature_that_others_verify(told: Told) -> None:
    with receiving() as receiver:
        secret = told.tell("pager", Channel.WEBHOOK, receiver.url, Notice.BREACH)["secret"]
        finding = told.found()
        told.clock.ms = now_ms()  # the receiver's library looks at its own clock
        assert told.notifier.once() == 1
        assert told.notifier.once() == 0
        (headers, body) = receiver.received[0]
    content = Webhook(secret).verify(body, headers)
    assert content["type"] == "audit.breach"
    assert finding in {f["id"] for f in content["data"]["findings"]}
    assert set(content["data"]) == {"site", "audit", "scan", "verdict", "findings"}
    assert all(set(f) == {"id", "subject", "verdict", "state", "due_at"} for f in content["data"]["findings"]), "no figure"
    assert told.numbers("pager") == {"pending": 0, "delivered": 1, "dead": 0}


def test_each_kind_of_news_is_told_to_those_who_asked_for_it_and_once(told: Told) -> None:
    for notice in Notice:
        told.tell(notice.value.replace(".", "-"), Channel.WEBHOOK, "http://127.0.0.1:9/", notice)

    def waiting() -> dict[str, int]:
        return {n.value: told.numbers(n.value.replace(".", "-"))["pending"] for n in Notice}

    finding = told.found()
    assert waiting() == {"audit.attention": 0, "audit.breach": 1, "finding.overdue": 0, "finding.reopened": 0}
    told.scan()
    assert waiting()["audit.breach"] == 1, "the same breach again is no news"
    told.desk.dismiss(told.asks(), finding, note="x")
    told.signed(finding)
    told.desk.close(told.asks(), finding)
    told.publish(SKEWED)
    told.scan()
    assert waiting()["finding.reopened"] == 1
    assert waiting()["audit.breach"] == 2
    open_now = sum(f.state != "closed" for f in told.store.findings("newsroom")[0])
    told.clock.ms += 30 * DAY
    assert len(told.scanner.overdue(told.site)) == open_now
    assert waiting()["finding.overdue"] == open_now


def test_attention_is_told_when_the_scan_before_did_not_say_so(told: Told) -> None:
    told.tell("pager", Channel.WEBHOOK, "http://127.0.0.1:9/", Notice.ATTENTION)
    said, before, expected = [], None, 0
    told.publish(FAIR | {"55_plus": (0.55, 0.45)}, 20_000)  # 5 points: mostly attention
    for _ in range(3):
        verdict = told.scan().verdict
        expected += verdict == "attention" and before != "attention"
        said.append(told.numbers("pager")["pending"])
        before = verdict
    assert said[-1] == expected
    assert said[0] == said[1] == said[2]


def test_a_scan_that_is_rolled_back_tells_nobody(told: Told) -> None:
    told.tell("pager", Channel.WEBHOOK, "http://127.0.0.1:9/")
    told.publish(SKEWED)
    (audit,) = told.site.audits.values()
    with pytest.raises(SlotTakenOver):
        told.scanner.scan_audit(told.site, audit, 1, settle=lambda _: False)
    assert told.numbers("pager")["pending"] == 0
    assert told.store.findings("newsroom")[0] == []


def test_a_message_is_tried_again_with_growing_waits_until_it_is_dead(told: Told) -> None:
    with receiving() as receiver:
        receiver.answers = [500, 307, 204]
        told.tell("pager", Channel.WEBHOOK, receiver.url, Notice.BREACH)
        told.found()
        for delivered in (0, 0, 1):
            assert told.notifier.once() == delivered
            assert told.notifier.once() == 0, "it waits"
            told.clock.ms += 60_000
        assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1
        assert len(receiver.received) == 3, "a redirect is not followed"
        receiver.answers = [410]
        for finding in told.store.findings("newsroom")[0]:
            told.desk.dismiss(told.asks(), finding.id, note="x")
            told.signed(finding.id)
            told.desk.close(told.asks(), finding.id)
        told.publish(SKEWED)
        told.scan()
        assert told.notifier.once() == 0
        assert told.numbers("pager") == {"pending": 0, "delivered": 1, "dead": 1}


def test_an_address_that_is_none_holds_up_nobody_else(told: Told) -> None:
    with receiving() as receiver:
        for name, url in (("a", "https://a..b/"), ("b", "https://xn--/"), ("c", f"https://{'a' * 64}.example/")):
            told.tell(name, Channel.WEBHOOK, url, Notice.BREACH)
        told.tell("d", Channel.MAIL, OFFICER, Notice.BREACH)
        with told.vault.begin() as connection:  # as one could be stored before such addresses were refused
            connection.execute(subscriptions.update().where(subscriptions.c.name == "d").values(address="=?x?b?!!!?=@example.org"))
        told.tell("z", Channel.WEBHOOK, receiver.url, Notice.BREACH)
        told.found()
        assert told.notifier.once() == 1
        assert [told.numbers(name) for name in "abc"] == [{"pending": 1, "delivered": 0, "dead": 0}] * 3
        assert told.numbers("d")["dead"] == 1


def test_settled_messages_are_deleted_after_the_sites_term(told: Told) -> None:
    with receiving() as receiver:
        told.tell("pager", Channel.WEBHOOK, receiver.url, Notice.BREACH)
        told.found()
        assert told.notifier.once() == 1
    told.clock.ms += told.site.retention.messages_ms - DAY
    told.scanner.overdue(told.site)
    assert told.numbers("pager")["delivered"] == 1
    told.clock.ms += 2 * DAY
    told.scanner.overdue(told.site)
    assert told.numbers("pager")["delivered"] == 0


def test_addresses_that_could_leak_or_forge_are_refused(told: Told) -> None:
    for url in ("http://example.org/", "https://user:pass@example.org/", "ftp://example.org"):
        with pytest.raises(WebhookUrlRefused):
            told.tell("x", Channel.WEBHOOK, url)
    for address in ("nobody", "a@b\nBcc: c@d", "a@b, c@d", "Name <a@b>", "a@" + "b" * 260):
        with pytest.raises(AddressRefused):
            told.tell("x", Channel.MAIL, address)
    for number in range(MOST):
        told.tell(f"s{number}", Channel.MAIL, OFFICER)
    with pytest.raises(Conflict):
        told.tell("one-more", Channel.MAIL, OFFICER)
    told.subscriptions.delete("newsroom", "s0", actor="key")
    with pytest.raises(UnknownSubscription):
        told.subscriptions.delete("newsroom", "s0", actor="key")
    assert OFFICER not in str([e.body for e in told.log.list(limit=1000)[0]]), "addresses stay out of the log"


def test_a_secret_is_shown_once_and_changes_when_asked(told: Told) -> None:
    first = told.tell("pager", Channel.WEBHOOK, "https://example.org/")["secret"]
    assert "secret" not in told.tell("pager", Channel.WEBHOOK, "https://example.org/other")
    assert first not in json.dumps(told.subscriptions.list("newsroom"))
    again = told.subscriptions.put(
        "newsroom",
        "pager",
        channel=Channel.WEBHOOK,
        address="https://example.org/",
        events=[Notice.BREACH],
        actor="key",
        rotate_secret=True,
    )
    assert again["secret"] != first


# Mail, against a real SMTP server.


class Inbox:
    """Keeps what arrives; answers the next recipients with what it is told to."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.answers: list[str] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        assert session.ssl is not None, "it came over TLS"
        self.mails.append((envelope, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 OK"


def certificate(place: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate of its own, which is written to `ca.pem` for clients to trust."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (place / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (place / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "ca.pem", place / "key.pem")
    return context


@contextmanager
def mail_server(place: Path) -> Iterator[tuple[Inbox, dict[str, Any]]]:
    """A server that wants STARTTLS and a log-in, and the settings that fit it."""
    inbox = Inbox()

    def log_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"tacit", b"opensesame"), handled=False)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(
        inbox,
        hostname="127.0.0.1",
        port=port,
        tls_context=certificate(place),
        require_starttls=True,
        authenticator=log_in,
        auth_required=True,
    )
    controller.start()
    try:
        yield (
            inbox,
            {
                "host": "127.0.0.1",
                "port": port,
                "sender": "tacit@example.org",
                "user": "tacit",
                "password": SecretStr("opensesame"),
                "ca_file": place / "ca.pem",
            },
        )
    finally:
        controller.stop()


def test_a_breach_is_mailed_over_starttls_with_names_and_without_figures(tmp_path: Path) -> None:
    with mail_server(tmp_path) as (inbox, settings):
        password = tmp_path / "password"
        password.write_text("opensesame\n")
        told = Told(tmp_path, MailSettings(**(settings | {"password": None, "password_file": password})))
        told.tell("office", Channel.MAIL, OFFICER, Notice.BREACH)
        finding = told.found()
        assert told.notifier.once() == 1
    ((envelope, mail),) = inbox.mails
    assert envelope.rcpt_tos == [OFFICER]
    assert mail["Subject"] == "[Tacit] newsroom by_age: breach"
    assert mail["From"] == "tacit@example.org"
    assert mail["Message-ID"].startswith("<msg_")
    text = mail.get_content()
    assert finding in text
    assert "age_band=55_plus exposure larger: breach, open, due " in text
    detail = told.finding(finding).detail["comparison"]
    assert f"{detail['difference']:.3f}"[:5] not in text
    assert str(round(detail["people"])) not in text


@pytest.mark.parametrize(
    ("wrong", "outcome"),
    [
        ({"password": SecretStr("guess")}, "no_login"),
        ({"ca_file": None}, "bad_certificate"),
        ({"port": 9}, "no_connection"),
        ({"host": ""}, "no_mail_server"),
        ({"password": None, "password_file": Path("/nowhere")}, "no_connection"),
    ],
)
def test_mail_that_cannot_be_handed_over_waits_and_says_why(tmp_path: Path, wrong: dict[str, Any], outcome: str) -> None:
    with mail_server(tmp_path) as (inbox, settings):
        told = Told(tmp_path, MailSettings(**(settings | wrong)))
        told.tell("office", Channel.MAIL, OFFICER, Notice.BREACH)
        told.found()
        assert told.notifier.once() == 0
        assert told.numbers("office")["pending"] == 1
        assert outcomes(told) == [outcome]
        assert inbox.mails == []
        told.notifier = Notifier(told.vault, ROOT, MailSettings(**settings), told.clock)
        told.clock.ms += 10_000
        assert told.notifier.once() == 1


def test_a_mailbox_that_does_not_exist_is_given_up_and_one_that_is_full_is_tried_again(tmp_path: Path) -> None:
    with mail_server(tmp_path) as (inbox, settings):
        told = Told(tmp_path, MailSettings(**settings))
        told.tell("office", Channel.MAIL, OFFICER, Notice.BREACH)
        told.found()
        inbox.answers = ["452 full", "550 no such mailbox"]
        for outcome in ("put_off", "refused"):
            assert told.notifier.once() == 0
            assert outcomes(told) == [outcome]
            told.clock.ms += 60_000
    assert told.numbers("office") == {"pending": 0, "delivered": 0, "dead": 1}


def test_mail_never_leaves_this_machine_in_the_clear() -> None:
    with pytest.raises(ValidationError, match="encrypted"):
        MailSettings(host="mail.example.org", security="none")
    assert MailSettings(host="localhost", security="none").host == "localhost"


def outcomes(told: Told) -> list[str]:
    from sqlalchemy import select

    from audit.officer_tables import notifications
    from tacit.core.db import reading

    with reading(told.vault) as connection:
        return [str(outcome) for outcome in connection.scalars(select(notifications.c.outcome))]


def now_ms() -> int:
    from tacit.core.clock import SystemClock

    return SystemClock().now_ms()
