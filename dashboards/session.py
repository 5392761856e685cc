"""Being logged in: a signed cookie that names the key it was opened with, and nothing else.

The key itself is in no cookie. Each request looks the key up again, so revoking a key ends its sessions at once. A session can only read.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from tacit.core.access import READERS, Caller, KeyStore
from tacit.core.clock import Clock
from tacit.core.errors import Forbidden, Unauthenticated

from .errors import ForeignForm

COOKIE = "tacit_session"
LIFETIME_MS = 12 * 3_600_000


class Sessions:
    """Opens and checks sessions. `secret` is `RootKey.secret("session")`."""

    def __init__(self, keys: KeyStore, secret: bytes, clock: Clock) -> None:
        self._keys, self._secret, self._clock = keys, secret, clock

    def open(self, key: str) -> str:
        """The cookie's value for a key that may read. Raises `Unauthenticated` or `Forbidden`."""
        caller = _reader(self._keys.identify(key.strip()))
        body = json.dumps({"key": caller.key_id, "until": self._clock.now_ms() + LIFETIME_MS}, separators=(",", ":")).encode()
        return f"{_text(body)}.{_text(self._tag(body))}"

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Who asks, by key or by cookie (header names in lower case). Raises `Unauthenticated` or `Forbidden`."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if key := headers.get("x-api-key") or (bearer.strip() if scheme.lower() == "bearer" else ""):
            return _reader(self._keys.identify(key))
        return _reader(self._keys.by_id(self._key_id(_cookie(headers.get("cookie", "")))))

    def _key_id(self, value: str) -> str:
        body_text, _, tag_text = value.partition(".")
        try:
            body, tag = _bytes(body_text), _bytes(tag_text)
        except (binascii.Error, ValueError):
            raise Unauthenticated("the session cannot be read", next_step="Log in again.") from None
        if not value or not hmac.compare_digest(tag, self._tag(body)):
            raise Unauthenticated("there is no session", next_step="Log in.")
        content = json.loads(body)
        if content["until"] <= self._clock.now_ms():
            raise Unauthenticated("the session has ended", next_step="Log in again.")
        return str(content["key"])

    def _tag(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, "sha256")


def same_site(headers: Mapping[str, str]) -> None:
    """Refuse a form that another site's page sent. Raises `ForeignForm`.

    Browsers say so in `Sec-Fetch-Site`, older ones in `Origin`; a client that sends neither is no browser and has no cookie to misuse.
    """
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ForeignForm
    origin = headers.get("origin")
    if origin and origin != "null" and urlsplit(origin).netloc != headers.get("host", ""):
        raise ForeignForm


def local_path(path: str) -> str:
    """Where to go after a log-in: a path of this host, or the overview.

    >>> local_path("/budget?site=a"), local_path("//evil.example"), local_path("https://evil.example"), local_path("/\\\\evil")
    ('/budget?site=a', '/', '/', '/')
    """
    safe = path.startswith("/") and not path.startswith("//") and path.isprintable() and "\\" not in path
    return path if safe else "/"


def _reader(caller: Caller) -> Caller:
    if caller.role not in READERS:
        raise Forbidden("pages need a key of an officer, an auditor, a content manager or an admin")
    return caller


def _cookie(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
