"""Signatures of webhooks as the Standard Webhooks specification has them (version 1, HMAC-SHA256), for the sender and for receivers.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
The signature covers id, time and body, so none of them can be changed, and a copy sent later is refused by its time or its id.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping

from tacit.core.errors import InvalidRequest

PREFIX = "whsec_"
TOLERANCE_SECONDS = 300
"""How far a message's time may be from the receiver's clock: the specification's reference libraries allow five minutes."""

_SECRET_BYTES = 32


class WebhookInvalid(InvalidRequest):
    """A message that was not signed with this secret, was changed, or is too old. A receiver answers 400 and acts on nothing."""

    type = "webhook-invalid"
    title = "Webhook is not valid"
    default_next_step = "Check that the secret is this webhook's, that the body is passed on byte for byte, and that the clock is right."


def new_secret() -> str:
    """A fresh secret: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signature(secret: str, message_id: str, *, at_seconds: int, body: bytes) -> str:
    """`v1,<base64>` of the HMAC-SHA256 over `id.time.body`. Raises `WebhookInvalid` for a secret that is none."""
    content = f"{message_id}.{at_seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_key(secret), content, "sha256")).decode()


def headers(secret: str, message_id: str, *, at_seconds: int, body: bytes) -> dict[str, str]:
    """The three headers that go with a message."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_seconds),
        "webhook-signature": signature(secret, message_id, at_seconds=at_seconds, body=body),
    }


def verify(secret: str, received: Mapping[str, str], *, body: bytes, now_seconds: int) -> str:
    """The id of a message that is genuine and fresh; a receiver acts on each id once. Header names in lower case.

    Raises `WebhookInvalid`.
    """
    message_id, time = received.get("webhook-id", ""), received.get("webhook-timestamp", "")
    if not message_id or not (time.isascii() and time.isdigit() and len(time) <= 12):
        raise WebhookInvalid("the id or the time is missing")
    if abs(now_seconds - int(time)) > TOLERANCE_SECONDS:
        raise WebhookInvalid(f"its time is more than {TOLERANCE_SECONDS} seconds from now")
    expected = signature(secret, message_id, at_seconds=int(time), body=body).encode()
    given = received.get("webhook-signature", "").split(" ")
    if not any(hmac.compare_digest(expected, one.encode("utf-8", "replace")) for one in given):
        raise WebhookInvalid("no signature fits")
    return message_id


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or len(key) < 24:  # the specification's least length
        raise WebhookInvalid("the secret is not `whsec_` and at least 24 bytes in base64")
    return key
