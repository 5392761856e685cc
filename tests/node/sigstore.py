"""Asks @sigstore/verify about checkpoints and inclusion proofs; `tests.node.reference.install` comes first."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any

from tests.node.reference import HERE


def ask(questions: Sequence[dict[str, Any]]) -> list[bool]:
    """Whether it accepts each of them."""
    given = "".join(json.dumps(one) + "\n" for one in questions)
    done = subprocess.run(["node", "sigstore.mjs"], cwd=HERE, input=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(questions)
    assert all(bool(one["reason"]) is not one["ok"] for one in answers)
    return [one["ok"] for one in answers]
