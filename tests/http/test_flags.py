"""OpenFeature clients of other people against a running service, and the protocol's own words where no client shows them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from websockets.sync.client import connect

from adjust.bundle import PART_TYPE, verify
from adjust.errors import BundleInvalid
from tacit import wiring
from tacit.core import configuration, jws, rootkey
from tacit.worker import Worker
from tests.conftest import House, build

CONFIG = """
sites:
  shop:
    privacy: {epsilon: 1.0, delta: 1.0e-6, epoch: 1d, window: 1h}
    policies:
      headline:
        zone: front.headline
        arms:
          plain: {scale: 1.0, bold: false, words: short, columns: 2}
          large: {scale: 2, bold: true, words: long, columns: 3, offer: ten}
        context: {device: [mobile, desktop]}
        reward: {event: click}
        holdout: 0
        share: 0.5
      order:
        zone: front.order
        arms: {newest: {}, popular: {}}
        reward: {event: click}
        holdout: 0.5
        share: 0.5
"""
FLAGS = "/ofrep/v1/evaluate/flags"


def publish(house: House) -> None:
    """One pass of the sanitiser: a bundle, if there is anything new to say."""
    services = wiring.sanitiser(house.settings, configuration.load(house.settings.config))
    Worker(services).once()


def republish(house: House) -> None:
    """Another bundle, because another explore is declared. The service goes on with the old declaration and the new bundle."""
    text = house.settings.config.read_text()
    house.settings.config.write_text(text.replace("zone: front.order\n", "zone: front.order\n        explore: 0.04\n", 1))
    publish(house)
    house.settings.config.write_text(text)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = build(tmp_path_factory.mktemp("shop"), CONFIG)
    publish(house)
    house.start(sanitiser=False)
    yield house
    house.stop()


@pytest.fixture
def python_client(shop: House) -> Iterator[Any]:
    provider = OFREPProvider(shop.url, headers_factory=lambda: {"X-API-Key": shop.keys["write"]})
    api.set_provider(provider)
    yield api.get_client()
    api.shutdown()
    provider.session.close()


def ask(shop: House, path: str = FLAGS, body: Any = None, *, role: str = "write", **headers: str) -> httpx.Response:
    return shop.client(role).post(path, json={"context": {}} if body is None else body, headers=headers)


def test_a_key_is_needed_and_refusals_have_no_body(shop: House) -> None:
    for path in (FLAGS, f"{FLAGS}/headline"):
        refused = [httpx.post(shop.url + path, json={}), ask(shop, path, role="auditor")]
        assert [(answer.status_code, answer.content) for answer in refused] == [(401, b""), (403, b"")]
    assert ask(shop, role="admin").json()["errorCode"] == "GENERAL"
    assert ask(shop, f"{FLAGS}?site=shop", role="admin").status_code == 200


def test_the_python_provider_gets_each_type_with_variant_reason_and_metadata(python_client: Any) -> None:
    context = EvaluationContext("someone", {"device": "mobile", "shoe_size": 44})
    arm = python_client.get_string_details("headline.arm", "none", context)
    assert arm.error_code is None
    large = arm.value == "large"
    assert arm.value in ("plain", "large")
    assert (arm.variant, arm.reason) == (arm.value, "SPLIT")
    assert arm.flag_metadata["cell"] == "mobile"
    assert 0 < arm.flag_metadata["propensity"] < 1
    for found, expected in (
        (python_client.get_float_details("headline.scale", 9.0, context), 2.0 if large else 1.0),
        (python_client.get_boolean_details("headline.bold", not large, context), large),
        (python_client.get_integer_details("headline.columns", 9, context), 3 if large else 2),
        (python_client.get_string_details("headline.words", "none", context), "long" if large else "short"),
    ):
        assert (found.error_code, found.value, type(found.value)) == (None, expected, type(expected))
    whole = python_client.get_object_details("headline", {}, context)
    assert whole.error_code is None
    assert whole.value["scale"] == (2.0 if large else 1.0)
    assert type(whole.value["scale"]) is float


def test_a_parameter_that_an_arm_does_not_set_leaves_the_code_s_default(shop: House, python_client: Any) -> None:
    offers = set()
    for number in range(64):
        context = EvaluationContext(f"unit-{number}", {"device": "mobile"})
        found = python_client.get_string_details("headline.offer", "mine", context)
        assert found.error_code is None
        offers.add((found.variant, found.value))
    assert offers == {("plain", "mine"), ("large", "ten")}
    assert "value" not in ask(shop, f"{FLAGS}/headline.offer", {"context": {"targetingKey": _unit(shop, "plain")}}).json()


def _unit(shop: House, arm: str) -> str:
    units = (f"unit-{number}" for number in range(1000))
    return next(u for u in units if ask(shop, f"{FLAGS}/headline", {"context": {"targetingKey": u}}).json()["variant"] == arm)


def test_the_same_unit_is_answered_alike_by_flags_and_by_adjust_and_the_holdout_is_a_split(shop: House, python_client: Any) -> None:
    seen = set()
    for number in range(64):
        unit = f"unit-{number}"
        decided = shop.client("write").post("/v1/adjust", json={"policy": "order", "unit": unit}).json()
        found = python_client.get_string_details("order.arm", "none", EvaluationContext(unit))
        assert (found.value, found.reason, found.flag_metadata["reason"]) == (decided["arm"], "SPLIT", decided["reason"])
        seen.add(decided["arm"])
    assert seen == {"newest", "popular", "holdout"}


def test_the_python_provider_understands_what_goes_wrong(shop: House, python_client: Any) -> None:
    assert python_client.get_string_details("nothing.here", "mine").error_code is ErrorCode.FLAG_NOT_FOUND
    assert python_client.get_boolean_details("headline.scale", True).error_code is ErrorCode.TYPE_MISMATCH
    assert python_client.get_string_details("headline.arm", "x", EvaluationContext("x" * 300)).error_code is ErrorCode.INVALID_CONTEXT
    huge = EvaluationContext("u", {"blob": "x" * 1_000_000})
    assert python_client.get_string_details("headline.arm", "x", huge).error_code is ErrorCode.INVALID_CONTEXT
    provider = OFREPProvider(shop.url, headers_factory=lambda: {"X-API-Key": "tacit_write_wrong"})
    api.set_provider(provider)
    assert api.get_client().get_string_details("headline.arm", "mine").error_code is ErrorCode.GENERAL
    provider.session.close()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "PARSE_ERROR"),
        (b"{", "PARSE_ERROR"),
        (b"\xff\xfe", "PARSE_ERROR"),
        (b"[" * 20_000, "INVALID_CONTEXT"),
        (b'{"context":' + b'{"a":' * 5_000, "PARSE_ERROR"),
        (b"[]", "INVALID_CONTEXT"),
        (b'{"context": 3}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": 7}}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": "' + b"u" * 257 + b'"}}', "INVALID_CONTEXT"),
        (b'{"context": {"blob": "' + b"b" * 1_000_000 + b'"}}', "INVALID_CONTEXT"),
    ],
)
def test_a_bad_request_has_its_code_and_details_and_repeats_nothing(shop: House, body: bytes, code: str) -> None:
    for path in (FLAGS, f"{FLAGS}/headline"):
        answer = shop.client("write").post(path, content=body)
        assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
        assert answer.json()["errorDetails"]
        assert ("key" in answer.json()) == (path != FLAGS)
        assert len(answer.content) < 300
    assert ask(shop, f"{FLAGS}/%00%0a<script>").json()["key"] == ""


def test_other_methods_and_preflights(shop: House) -> None:
    answer = shop.client("write").get(FLAGS)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")
    preflight = httpx.options(shop.url + FLAGS, headers={"origin": "https://shop.example", "access-control-request-method": "POST"})
    assert preflight.status_code == 204
    assert {"Authorization", "X-API-Key", "If-None-Match"} <= {
        h.strip() for h in preflight.headers["access-control-allow-headers"].split(",")
    }
    exposed = ask(shop, body={"context": {"targetingKey": "u"}}).headers["access-control-expose-headers"]
    assert {"ETag", "Retry-After"} <= {h.strip() for h in exposed.split(",")}


def test_bulk_answers_every_flag_once_and_304_while_nothing_changed(shop: House) -> None:
    body = {"context": {"targetingKey": "someone", "device": "desktop", "unknown": {"deep": [1]}}}
    answer = ask(shop, body=body)
    flags = {flag["key"]: flag for flag in answer.json()["flags"]}
    assert len(flags) == len(answer.json()["flags"])
    assert set(flags) == {"headline", "order", "order.arm"} | {
        f"headline.{n}" for n in ("arm", "scale", "bold", "words", "columns", "offer")
    }
    assert flags["headline"] == ask(shop, f"{FLAGS}/headline", body).json()
    (stream,) = answer.json()["eventStreams"]
    assert stream == {"type": "sse", "endpoint": {"requestUri": "/v1/bundles/shop/events"}, "inactivityDelaySec": 120}
    again = ask(shop, body=body, **{"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    other = {"context": {"targetingKey": "someone", "device": "mobile"}}
    assert ask(shop, body=other, **{"if-none-match": answer.headers["etag"]}).status_code == 200
    assert "etag" not in ask(shop).headers, "without a unit each answer is drawn afresh"


def test_a_new_bundle_is_pushed_over_both_ways_and_a_zone_has_its_own_bundle(shop: House) -> None:
    whole = requests.get(f"{shop.url}/v1/bundles/shop", timeout=10)
    part = requests.get(f"{shop.url}/v1/bundles/shop", params={"zone": "front.order"}, timeout=10)
    assert requests.get(f"{shop.url}/v1/bundles/shop", params={"zone": "nowhere"}, timeout=10).status_code == 404
    assert len(part.content) < len(whole.content)
    root = rootkey.load(shop.settings).signing_key().public_key()
    assert set(verify(whole.content, root)["policies"]) == {"headline", "order"}
    with pytest.raises(BundleInvalid):
        verify(part.content, root)  # a part cannot pass for the whole
    assert jws.verify(part.json(), PART_TYPE, root)["zone"] == "front.order"
    assert part.headers["etag"] != whole.headers["etag"]
    events: list[dict[str, Any]] = []
    with (
        httpx.stream("GET", f"{shop.url}/v1/bundles/shop/events", timeout=30) as stream,
        connect(f"ws://127.0.0.1:{shop.port}/v1/bundles/shop/socket") as socket,
    ):
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        reader = threading.Thread(target=_take, args=(lines, events, 2))
        reader.start()
        first = json.loads(socket.recv(10))
        republish(shop)
        second = json.loads(socket.recv(10))
        reader.join(10)
    assert first == events[0]
    assert second == events[1]
    assert first["type"] == "refetchEvaluation"
    assert first["etag"] == whole.headers["etag"]
    assert second["version"] == first["version"] + 1
    assert requests.get(f"{shop.url}/v1/bundles/shop", timeout=10).headers["etag"] == second["etag"]


def _take(lines: Iterator[str], found: list[dict[str, Any]], number: int) -> None:
    for line in lines:
        if line.startswith("data: "):
            found.append(json.loads(line[6:]))
            if len(found) == number:
                return


def test_who_reconnects_with_the_version_he_knows_is_told_of_newer_ones_only(shop: House) -> None:
    version = json.loads(ask(shop).content)["metadata"]["bundle"]
    with httpx.stream("GET", f"{shop.url}/v1/bundles/shop/events", headers={"last-event-id": str(version - 1)}, timeout=10) as stream:
        found: list[dict[str, Any]] = []
        _take(stream.iter_lines(), found, 1)
        assert found[0]["version"] == version
    assert requests.get(f"{shop.url}/v1/bundles/elsewhere/events", timeout=10).status_code == 404


def test_open_streams_do_not_hold_the_service_up_when_it_stops(tmp_path: Path) -> None:
    house = build(tmp_path, CONFIG)
    publish(house)
    house.start(sanitiser=False)
    with httpx.stream("GET", f"{house.url}/v1/bundles/shop/events", timeout=30) as stream:
        lines = stream.iter_lines()
        next(lines)
        house.stop()  # raises where the service has to be killed
        assert list(lines)[-1] == "", "the stream ends with a whole event"
