"""Prints the benchmark table. Each line names its goal; a line that misses it says so, and nothing is hidden."""

from __future__ import annotations

import argparse
import os
import platform
import sys

from benchmarks import close, decide, error, evidence, experiments, fairness, gate, noise, serve, signals, simulate, trend, withdrawals
from benchmarks.peers import comparison
from benchmarks.result import Result


def main() -> None:
    """Run the chosen parts and print their lines."""
    parts = {
        "close": close.run,
        "noise": noise.run,
        "error": error.run,
        "experiments": experiments.run,
        "gate": gate.run,
        "serve": serve.run,
        "decide": decide.run,
        "signals": signals.run,
        "simulate": simulate.run,
        "fairness": fairness.run,
        "trend": trend.run,
        "evidence": evidence.run,
        "withdrawals": withdrawals.run,
        "peers": comparison.run,
    }
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(parts)}; all that can be run when left out")
    chosen = parser.parse_args().parts or [part for part in parts if part != "peers" or comparison.available()]
    if unknown := set(chosen) - set(parts):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}\n")
    print(f"| {'what':58} | {'measured':>22} | {'goal':>16} | |")
    print(f"|{'-' * 60}|{'-' * 23}:|{'-' * 17}:|---|")
    for part in chosen:
        for result in parts[part]():
            _print(result)
    sys.stdout.flush()


def _print(result: Result) -> None:
    sign = "" if result.met is None else ("met" if result.met else "MISSED")
    print(f"| {result.what:58} | {result.measured:>22} | {result.goal:>16} | {sign} |", flush=True)


if __name__ == "__main__":
    main()
