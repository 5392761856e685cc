"""From trials with further outcomes through the door to an experiment that pages and the command line show."""

from __future__ import annotations

from pathlib import Path

from tacit import wiring
from tacit.core import configuration
from tacit.worker import Worker
from tests.conftest import build, event

CONFIG = """
sites:
  shop:
    privacy: {epsilon: 10, delta: 1.0e-6, epoch: 1d, window: 1h}
    policies:
      help:
        zone: sizes
        purpose: personalisation
        arms: {plain: {}, guided: {guide: true}}
        reward: {event: order}
        learner: fixed
        holdout: 0.1
        share: 0.5
        kpis:
          bounce: {kind: rate, better: lower, guardrail: 0.05, share: 0.1}
          satisfaction: {kind: rating, share: 0.1}
          seconds: {kind: number, from: 0, to: 300, share: 0.1}
"""


def test_outcomes_of_trials_are_counted_by_arm_and_shown(tmp_path: Path) -> None:
    house = build(tmp_path, CONFIG)
    house.start(sanitiser=False)
    try:
        events = []
        for number in range(60):
            house.consent(f"p{number}", personalisation=True)
            arm = ("plain", "guided", "holdout")[number % 3]
            outcomes = {"bounce": bool(number % 2), "satisfaction": 1 + number % 5, "seconds": 10.5 * (number % 20)}
            said = {"outcomes": outcomes} if number % 4 else {}
            events.append(event(f"t{number}", "trial", f"p{number}", policy="help", context={}, arm=arm, reward=number % 2, **said))
        verdict = house.send(*events)
        assert verdict["accepted"] == 60
        wrong = event("w1", "trial", "p0", policy="help", context={}, arm="plain", reward=0, outcomes=["bounce"])
        assert house.send(wrong)["rejected"] == [{"index": 0, "code": "bad_value"}]
        services = wiring.sanitiser(house.settings, configuration.load(house.settings.config))
        services.source.cut("shop")
        Worker(services).once()
        released = {r.measure.name: r for r in services.releases.list("shop", limit=10)[0]}
        for kpi, outcomes_counted in (("bounce", 45), ("satisfaction", 45), ("seconds", 45)):
            found = released[f"policy.help.{kpi}"]
            noise = found.sd * len(found.values) ** 0.5
            assert abs(sum(found.values) - outcomes_counted) < 6 * noise + 1
        shown = house.client("officer").get("/v1/experiments/help").json()
        assert shown["verdict"] == "too early"
        assert [kpi["name"] for kpi in shown["kpis"]] == ["bounce", "satisfaction", "seconds"]
        printed = house.tacit("experiment", "--site", "shop", "--policy", "help")
        assert printed.returncode == 0, printed.stderr
        assert printed.stdout.splitlines()[0] == shown["sentence"]
        assert "KPI satisfaction" in printed.stdout
        assert house.tacit("experiment", "--site", "shop", "--policy", "nothing").returncode == 1
    finally:
        house.stop()
