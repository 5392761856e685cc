from __future__ import annotations

import json

import pytest

from ingest.pseudonyms import person
from tacit.core.clock import iso
from tacit.core.errors import InvalidRequest, RequestTooLarge, StorageUnavailable, UnknownSite
from tests.ingest.world import DAY, DECLARATION, MINUTE, SITE, START

ALL = {"measurement": True, "personalisation": True, "fairness_audit": True}


def code(world, event) -> str:
    answer = world.send(event)
    assert answer["accepted"] == 0
    assert answer["refused"] == {}
    [rejected] = answer["rejected"]
    assert rejected["index"] == 0
    return rejected["code"]


def test_an_event_feeds_every_measure_of_its_type(world):
    world.grant("ada")
    assert world.send(world.event("1", category="news")) == {"accepted": 1, "refused": {}, "rejected": []}
    world.later()
    assert sorted(world.labelled()) == [("pages", ("news",), 1), ("visits", (), 1)]


def test_refusals_leave_no_byte_behind(world):
    world.grant("withdrew")
    world.withdraw("withdrew", "measurement")
    world.grant("refused", measurement=False)
    world.grant("here")
    answer = world.send(
        world.event("1", subject="nobody"),
        world.event("2", subject="withdrew"),
        world.event("3", subject="refused"),
        world.event("4", "zoom"),
    )
    assert answer == {"accepted": 0, "refused": {"not_measured": 1, "no_consent": 1, "withdrawn": 1, "refused": 1}, "rejected": []}
    assert world.send(world.event("5", subject="here"), gpc=True)["refused"] == {"gpc": 1}
    assert world.segments() == []
    world.later(400 * DAY)
    assert world.send(world.event("6", subject="here"))["refused"] == {"expired": 1}
    assert world.segments() == []


def test_every_code_of_a_single_bad_event(world):
    world.grant("ada", **ALL)
    good = world.event("1")
    now = world.clock.now_ms()
    assert code(world, 7) == "malformed"
    assert code(world, {k: v for k, v in good.items() if k != "subject"}) == "malformed"
    assert code(world, good | {"at": "yesterday"}) == "malformed"
    assert code(world, good | {"at": 5}) == "malformed"
    assert code(world, good | {"properties": []}) == "malformed"
    assert code(world, good | {"email": "ada@example.org"}) == "unknown_field"
    assert code(world, world.event("1", note="x" * 33_000)) == "event_too_large"
    for bad in (
        {"id": ""},
        {"id": "x" * 129},
        {"subject": ""},
        {"subject": "  "},
        {"subject": "x" * 257},
        {"id_type": ""},
        {"id_type": "x" * 65},
    ):
        assert code(world, good | bad) == "bad_id"
    assert code(world, good | {"at": iso(now + 5 * MINUTE + 1000)}) == "clock_skew"
    assert code(world, good | {"at": iso(now - DAY - 1000)}) == "too_old"
    assert code(world, good | {"at": "0001-01-01T00:00:00+14:00"}) == "too_old"
    assert code(world, good | {"at": iso(now).removesuffix("Z")}) == "at_without_zone"
    assert code(world, good | {"at": iso(now)[:10]}) == "at_without_zone"
    assert code(world, world.trial("1", policy="absent")) == "unknown_policy"
    assert code(world, world.trial("1", policy=["headline"])) == "unknown_policy"
    assert code(world, world.trial("1", arm="huge")) == "unknown_arm"
    assert code(world, world.trial("1", arm={})) == "unknown_arm"
    for reward in (2, -1, 0.5, 1.0, "1", None, [1]):
        assert code(world, world.trial("1", reward=reward)) == "bad_value"
    assert code(world, world.trial("1", context=["mobile"])) == "bad_value"
    assert code(world, world.trial("1", groups="old")) == "bad_value"
    for seconds in (None, "12", True, [1], {}):
        assert code(world, world.event("1", "dwell", zone="hero", seconds=seconds)) == "bad_value"
    assert world.segments() == []


def test_the_limits_themselves_are_allowed(world):
    world.grant("s" * 256)
    now = world.clock.now_ms()
    base = world.event("i" * 128, subject="s" * 256)
    other_zone = "2023-11-15T02:10:00.5+02:00"
    assert abs(START + 10 * MINUTE - now) == 0
    events = [base | {"at": iso(now + 5 * MINUTE)}, base | {"id": "2", "at": iso(now - DAY)}, base | {"id": "3", "at": other_zone}]
    assert world.send(*events)["accepted"] == 3
    assert world.send(base | {"id": "4", "at": "20231115T001000Z"})["accepted"] == 1  # ISO 8601's basic form


def test_one_bad_event_costs_only_itself(world):
    world.grant("ada")
    raw = json.dumps(world.event("1")).encode()
    bad = [b'{"id": "\xff"}', b"[" * 500 + b"]" * 500, raw.replace(b'"ada"', b'"\\ud800"'), b"[" * 1_500 + b"]" * 1_500]
    body = b'{"events": [' + b", ".join([raw, *bad, raw.replace(b'"1"', b'"2"')]) + b'], "sentAt": 1}'
    answer = json.loads(world.door.accept(SITE, body, gpc=False))
    assert answer["accepted"] == 2
    assert answer["rejected"] == [{"index": i, "code": "malformed"} for i in range(1, 5)]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"events": 5}', b'{"events": [', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_batch_is_refused_whole(world, body):
    with pytest.raises(InvalidRequest) as caught:
        world.door.accept(SITE, body, gpc=False)
    assert "canary" not in str(caught.value)


def test_limits_of_the_whole_batch(world):
    with pytest.raises(RequestTooLarge):
        world.door.accept(SITE, b" " * (500 * 1024 + 1), gpc=False)
    with pytest.raises(UnknownSite):
        world.door.accept("elsewhere", b'{"events": []}', gpc=False)
    assert world.send() == {"accepted": 0, "refused": {}, "rejected": []}


def test_large_batches_are_read_like_small_ones(world):
    people = [f"p{i}" for i in range(1200)]
    world.grant(*people)
    answer = world.send(
        *(world.event(f"e{i}", subject=p, category="tech") for i, p in enumerate(people)), world.event("x", note="y" * 40_000)
    )
    assert answer["accepted"] == 1200
    assert answer["rejected"] == [{"index": 1200, "code": "event_too_large"}]


def test_values_outside_a_domain_go_to_other_and_sums_are_rounded_and_clipped(world):
    world.grant("ada")
    values = [12.4, 12.6, -5, 1e300, 10**300]
    world.send(*(world.event(f"d{i}", "dwell", zone="hero" if i else "nowhere", seconds=v) for i, v in enumerate(values)))
    world.send(
        world.event("r1", "rating", stars=2, member=True),
        world.event("r2", "rating", stars=2.5, member="no"),
        world.event("r3", "rating", stars=10**300),
    )
    world.send(world.event("p1", category=["news"]))
    world.later()
    found = world.labelled()
    assert [(c, v) for n, c, v in found if n == "dwell"] == [
        (("other",), 12),
        (("hero",), 13),
        (("hero",), 0),
        (("hero",), 120),
        (("hero",), 120),
    ]
    assert [c for n, c, _ in found if n == "rating"] == [("2", "true"), ("other", "other"), ("other", "other")]
    assert [c for n, c, _ in found if n == "pages"] == [("other",)]


def test_a_trial_counts_under_each_purpose_by_its_own_consent_and_groups_stay_with_the_audit(world):
    world.grant("both", personalisation=True, fairness_audit=True)
    world.grant("policy", personalisation=True)
    world.grant("audit", fairness_audit=True)
    world.grant("none")
    for subject in ("both", "policy", "audit"):
        assert world.send(world.trial("1", subject, groups={"age_band": "old"}))["accepted"] == 1
    assert world.send(world.trial("1", "none", groups={"age_band": "old"}))["refused"] == {"no_consent": 1}
    world.later()
    found = world.labelled()
    assert [c for n, c, _ in found if n == "policy.headline"] == [("mobile", "day", "larger", "1")] * 2
    assert [c for n, c, _ in found if n == "audit.by_age"] == [("old", "larger", "1")] * 2
    secret = world.custody.epoch_secret(SITE, START, START + DAY)
    people = {(r["p1"].to_bytes(8, "little") + r["p2"].to_bytes(8, "little")): r["measure"] for r in world.rows()}
    by_name = {m.name: m for m in DECLARATION.sites[SITE].measures}
    expected = {person(secret, "personalisation", "user", s): by_name["policy.headline"].id for s in ("both", "policy")}
    expected |= {person(secret, "fairness_audit", "user", s): by_name["audit.by_age"].id for s in ("both", "audit")}
    assert people == expected


def test_rows_of_two_purposes_share_no_keyed_value(world):
    world.grant("ada", **ALL)
    world.send(world.trial("1", groups={"age_band": "old"}))
    world.later()
    policy, audit = world.rows()
    values = [{row[c] for c in ("p1", "p2", "h", "m")} for row in (policy, audit)]
    assert not values[0] & values[1]


def test_every_cell_is_numbered_as_the_declaration_reads_it(world):
    world.grant("ada", **ALL)
    site = DECLARATION.sites[SITE]
    arms = site.policies["headline"].arm_dimension.labels
    expected = []
    for device in ("mobile", "desktop", "watch"):
        for daypart in ("morning", "day", "never"):
            for arm in arms:
                for reward in (0, 1, True):
                    identifier = f"{device}{daypart}{arm}{reward}"
                    world.send(world.trial(identifier, arm=arm, reward=reward, context={"device": device, "daypart": daypart}))
                    labels = ("other" if device == "watch" else device, "other" if daypart == "never" else daypart, arm, str(int(reward)))
                    expected.append(labels)
    world.later()
    assert [c for n, c, _ in world.labelled() if n == "policy.headline"] == expected


def test_holdout_is_an_arm(world):
    world.grant("ada", **ALL)
    assert world.send(world.trial("1", arm="holdout"))["accepted"] == 1


def test_a_repeated_message_is_a_duplicate_within_and_across_batches_windows_and_restarts(world):
    world.grant("ada", "bob")
    assert world.send(world.event("1"), world.event("1"))["refused"] == {"duplicate": 1}
    assert world.send(world.event("1"))["refused"] == {"duplicate": 1}
    assert world.send(world.event("1", subject="bob"))["accepted"] == 1  # another person's id is none of ours
    assert world.again().send(world.event("1"))["refused"] == {"duplicate": 1}
    world.later()
    assert world.send(world.event("1"))["refused"] == {"duplicate": 1}
    assert world.again().send(world.event("1"))["refused"] == {"duplicate": 1}
    world.source.forget(world.windows()[0])
    assert world.again().send(world.event("1"))["refused"] == {"duplicate": 1}


def test_what_failed_to_be_staged_may_be_sent_again(world):
    world.grant("ada")
    staging = world.path / "staging" / SITE
    staging.mkdir(parents=True, exist_ok=True)
    world.staging.book(SITE).cut(world.clock.now_ms())
    blocked = staging / str(START + 10 * MINUTE)
    blocked.write_bytes(b"a file where a directory is needed")
    with pytest.raises(StorageUnavailable):
        world.send(world.event("1"))
    blocked.unlink()
    assert world.send(world.event("1"))["accepted"] == 1


def test_after_a_lost_key_nothing_is_accepted_until_the_next_epoch(world):
    world.grant("ada")
    assert world.send(world.event("1"))["accepted"] == 1
    (world.path / "custody" / SITE / f"epoch-{START}").unlink()
    world.later()
    assert world.send(world.event("2"))["refused"] == {"epoch_key_lost": 1}
    assert world.rows() == []
    world.later(DAY)
    assert world.send(world.event("3"))["accepted"] == 1


def test_pseudonyms_change_with_the_epoch_and_not_with_the_window(world):
    world.grant("ada")
    for step in (MINUTE, DAY, MINUTE):
        world.send(world.event(f"{world.clock.at_ms}"))
        world.later(step)
    people = [(r["p1"], r["p2"]) for r in world.rows() if r["measure"] == DECLARATION.sites[SITE].measure("visits").id]
    assert len(people) == 3
    assert people[0] == people[1] != people[2]


def test_sites_do_not_share_pseudonyms_or_staging(world):
    for site in (SITE, "other"):
        world.grant("ada", site=site)
        assert world.send(world.event("1", category="news"), site=site)["accepted"] == 1
    world.later()
    here, there = world.rows(), world.rows(world.windows("other"))
    assert len(here) == 2
    assert len(there) == 1
    assert not {r["p1"] for r in here} & {r["p1"] for r in there}


def test_consent_choices_are_counted_under_a_key_of_their_own(world):
    world.door.count(SITE, "user", "ada", {"measurement": "granted", "personalisation": "refused"})
    world.later(5)
    world.door.count(SITE, "user", "ada", {"measurement": "withdrawn"})
    world.later()
    assert sorted(c for n, c, _ in world.labelled() if n == "consent.choices") == [
        ("measurement", "granted"),
        ("measurement", "withdrawn"),
        ("personalisation", "refused"),
    ]
    world.door.count("elsewhere", "user", "ada", {"measurement": "granted"})
    world.door.count(SITE, "user", "ada", {"measurement": "maybe", "sleep": "granted"})


def test_an_idle_process_gives_its_keys_up(world):
    world.grant("ada")
    world.send(world.event("1"))
    assert world.door.tidy()
    world.later()
    assert not world.door.tidy()
    assert world.send(world.event("2"))["accepted"] == 1
