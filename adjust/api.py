"""Decisions and experiments over HTTP. `POST /v1/adjust` is a plain ASGI endpoint, because it is asked for on every page view.

It stores and logs nothing, and no answer repeats what was sent.
"""

# No `from __future__ import annotations`: FastAPI reads the annotations of functions that are made inside `router`.

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Annotated, Any, Protocol

import msgspec
from fastapi import APIRouter, Query, Request

from adjust.decide import Decider
from adjust.errors import NoBundle, UnknownPolicy
from adjust.experiment_store import ExperimentStore
from adjust.experiments import lift
from adjust.recent import recent
from privacy.releases import ReleaseStore
from tacit.core.access import READERS, SENDERS, Caller, Role, credentials
from tacit.core.declaration import Declaration, Site
from tacit.core.errors import InvalidRequest, MethodNotAllowed, Problem, RequestTooLarge, UnknownSite

BODY_LIMIT = 32 * 1024
UNIT_LIMIT = 256

NOTHING_YET = "Nothing was released yet."
TOO_EARLY = "too early"
QUESTIONS_LIMIT = 50

_JSON, _NOT_STORED = (b"content-type", b"application/json"), (b"cache-control", b"no-store")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
RenderProblem = Callable[[Problem], tuple[int, list[tuple[bytes, bytes]], bytes]]


class Authorise(Protocol):
    """Who is asking, and about which site. Raises a `Problem`."""

    def __call__(self, headers: Mapping[str, str], roles: frozenset[Role], site: str | None, /) -> tuple[Caller, str]:
        """The caller and the site, if the caller's role is among `roles`."""
        ...


class Question(msgspec.Struct):
    """Body of `POST /v1/adjust`: a policy or a zone; or `questions`, up to fifty of them. Other keys are ignored."""

    policy: str | None = None
    zone: str | None = None
    context: dict[str, Any] = {}
    unit: Annotated[str, msgspec.Meta(max_length=UNIT_LIMIT)] | None = None
    site: str | None = None
    signals: dict[str, Any] | None = None
    questions: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=QUESTIONS_LIMIT)] | None = None


class AdjustEndpoint:
    """`POST /v1/adjust`."""

    def __init__(self, current_decider: Callable[[str], Decider | None], authorise: Authorise, render_problem: RenderProblem) -> None:
        self._current, self._authorise, self._render = current_decider, authorise, render_problem
        self._decode = msgspec.json.Decoder(Question).decode
        self._encode = msgspec.json.Encoder().encode

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed("decisions are asked for with POST")
            status, content = 200, self.answer(credentials(scope["headers"]), await read_body(receive))
            fields = [_JSON, _NOT_STORED, (b"content-length", b"%d" % len(content))]
        except Problem as problem:
            status, fields, content = self._render(problem)
            if isinstance(problem, MethodNotAllowed):
                fields = [*fields, (b"allow", b"POST")]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": content})

    def answer(self, headers: Mapping[str, str], body: bytes) -> bytes:
        """The decision as JSON. The key is looked at before the body; an admin's body names the site."""
        named: str | None
        try:
            _, named = self._authorise(headers, SENDERS, None)
        except UnknownSite:
            named = None
        question = self._question(body)
        if named is None or question.site is not None:
            _, named = self._authorise(headers, SENDERS, question.site)
        if question.questions is None:
            answer: bytes = self._encode(self._decide(named, question))
        else:
            answer = self._encode({"answers": [self._one_of_many(named, one) for one in question.questions]})
        return answer

    def _question(self, body: bytes | msgspec.Raw) -> Question:
        try:
            return self._decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise InvalidRequest(
                f"the body is not a JSON object with `policy` or `zone`, and `unit` of at most {UNIT_LIMIT} letters; "
                f"or with at most {QUESTIONS_LIMIT} `questions`"
            ) from None

    def _decide(self, site: str, question: Question) -> dict[str, Any]:
        if question.policy is None and question.zone is None:
            raise InvalidRequest("a decision needs `policy` or `zone`")
        decider = self._current(site)
        if decider is None:
            raise NoBundle("nothing was published for this site yet")
        return decider.decide(question.policy, zone=question.zone, context=question.context, unit=question.unit, signals=question.signals)

    def _one_of_many(self, site: str, body: msgspec.Raw) -> Any:
        """An answer, or what is wrong with this question alone; the site is named once, outside."""
        try:
            question = self._question(body)
            if question.questions is not None or question.site not in (None, site):
                raise InvalidRequest("a question among many has neither `questions` nor another `site`")
            return self._decide(site, question)
        except Problem as problem:
            return {"problem": msgspec.Raw(self._render(problem)[2])}


async def read_body(receive: Receive) -> bytes:
    """A whole request body. Raises `RequestTooLarge` beyond 32 KiB."""
    body = b""
    while True:
        message = await receive()
        chunk: bytes = message.get("body", b"")
        body = body + chunk if body else chunk
        if len(body) > BODY_LIMIT:
            raise RequestTooLarge(
                f"a question has at most {BODY_LIMIT} bytes", next_step="Send one question, and declared context keys only."
            )
        if not message.get("more_body", False):
            return body


def router(releases: ReleaseStore, experiments: ExperimentStore, declaration: Declaration, authorise: Authorise) -> APIRouter:
    """Experiments."""
    api = APIRouter(tags=["adjust"])

    @api.get("/v1/experiments/{policy}")
    def read_experiment(
        request: Request, policy: str, site: Annotated[str | None, Query(description="Needed with an admin key only.")] = None
    ) -> dict[str, Any]:
        """What a policy achieves: always-valid intervals of the newest assessment, and those of a look at one fixed time beside them."""
        _, named = authorise(dict(request.headers), READERS | SENDERS, site)
        declared = declaration.sites[named]
        if policy not in declared.policies:
            raise UnknownPolicy("the site declares no such policy")
        return experiment_of(declared, policy, releases, experiments)

    return api


def experiment_of(site: Site, policy: str, releases: ReleaseStore, experiments: ExperimentStore) -> dict[str, Any]:
    """One policy's experiment in its public form. Reading spends nothing."""
    measure = site.policy_measure(policy)
    found = lift(measure, recent(releases, measure))
    shown: dict[str, Any] = {"policy": policy, "sentence": NOTHING_YET, "as_of": None, "windows": 0, "comparisons": [], "arms": []}
    if found is not None:
        shown |= found.to_json()
    assessed = experiments.latest(site.name, policy)
    return shown | {"verdict": TOO_EARLY} if assessed is None else shown | assessed
