"""Sending signed messages to addresses that an operator gave: which are refused, how one is posted, and how long to wait after a failure.

Used by every outbox. No proxies and no credentials come from the environment, redirects are not followed and answers are not read: a
message goes to the address that was checked, and nowhere else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

import httpx

from tacit.core.errors import InvalidRequest
from tacit.core.webhook_signing import headers

FIRST_WAIT_MS, LONGEST_WAIT_MS, GIVE_UP_MS = 5_000, 12 * 3_600_000, 3 * 86_400_000
TIMEOUT_SECONDS = 10.0

_random = secrets.SystemRandom()


class WebhookUrlRefused(InvalidRequest):
    """An address that messages are not sent to."""

    type = "webhook-url-refused"
    title = "Webhook address refused"
    default_next_step = "Use https:// with a host name, without user, password or fragment; http:// is for loopback addresses only."


URL = r"^https://[A-Za-z0-9.-]{1,253}(:[1-9][0-9]{0,3})?([/?][!-\"$-~]*)?$"
"""The usual form of an address, for documents; `check_url` decides."""


def check_url(url: str) -> None:
    """Refuse an address that could leak a message or send it somewhere else. Raises `WebhookUrlRefused`."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise WebhookUrlRefused("it cannot be read") from None
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > 2000:
        raise WebhookUrlRefused("it has at most 2000 plain characters")
    if not parts.hostname or parts.username is not None or parts.password is not None or parts.fragment:
        raise WebhookUrlRefused("it needs a host and has no user, password or fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts)):
        raise WebhookUrlRefused("it is not https")


def wait_ms(attempts: int) -> int:
    """How long to wait after so many failed attempts: 5 s, 20 s, 80 s … 12 h, each longer or shorter by up to a fifth at random."""
    return round(min(LONGEST_WAIT_MS, FIRST_WAIT_MS << 2 * min(attempts - 1, 12)) * _random.uniform(0.8, 1.2))


def post(url: str, secret: str, message_id: str, body: bytes, *, at_seconds: int) -> str:
    """Post one signed message: the status of the answer, or `timeout` or `no_connection`.

    It takes at most `TIMEOUT_SECONDS` in all, also where a receiver sends a byte now and then.
    """
    signed = headers(secret, message_id, at_seconds=at_seconds, body=body)
    sent = {**signed, "content-type": "application/json", "user-agent": "Tacit-Webhooks"}
    try:
        return str(asyncio.run(asyncio.wait_for(_status(url, body, sent), TIMEOUT_SECONDS)))
    except (httpx.TimeoutException, TimeoutError):
        return "timeout"
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):  # a name that is none, such as a..b, is found out by whoever looks it up
        return "no_connection"


async def _status(url: str, body: bytes, sent: Mapping[str, str]) -> int:
    async with (
        httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=False) as through,
        through.stream("POST", url, content=body, headers=sent) as answer,
    ):
        return answer.status_code


def is_delivered(outcome: str) -> bool:
    """Whether an outcome of `post` means that the message arrived."""
    return outcome.isdigit() and 200 <= int(outcome) < 300


def _is_loopback(parts: SplitResult) -> bool:
    if parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
