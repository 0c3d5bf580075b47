"""`python -m benchmarks`: measure, print the report, and write it to benchmarks/results/."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from benchmarks import harness, report
from chainrule.bench.workloads import PREDICTIONS, WORKLOADS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, allow_abbrev=False)
    peers = list(dict.fromkeys(c.peer for c in harness.CONFIGURATIONS))
    known = (*WORKLOADS, *PREDICTIONS)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--peers", nargs="+", choices=peers, default=peers, help="default: all")
    parser.add_argument(
        "--workloads",
        nargs="+",
        choices=[workload.name for workload in known],
        default=[workload.name for workload in WORKLOADS],
        metavar="NAME",
        help="of %(choices)s; default: all but the predictions",
    )
    parser.add_argument("--predictions", action="store_true", help="the predictions alone: predict-...")
    parser.add_argument("--threads", type=int, default=cores, help="of every peer (default: all cores)")
    parser.add_argument("--rounds", type=int, default=15, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="3 rounds of short measurements: a first look")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results", metavar="FOLDER")
    parser.add_argument(
        "--report", type=Path, metavar="FILE.json", help="only print the report of a past run"
    )
    arguments = parser.parse_args()
    if arguments.report:
        print(report.markdown(json.loads(arguments.report.read_text(encoding="utf-8"))))
        return
    settings = harness.Settings(arguments.threads, arguments.rounds)
    if arguments.quick:
        settings = harness.Settings(arguments.threads, rounds=3, least=0.02, kernel_repetitions=10)
    harness.pin(arguments.threads)
    results = harness.run(
        PREDICTIONS
        if arguments.predictions
        else [workload for workload in known if workload.name in arguments.workloads],
        settings,
        [c for c in harness.CONFIGURATIONS if c.peer in arguments.peers],
        say=lambda line: print(line, flush=True),
    )
    print("\n" + report.markdown(results))
    for path in report.save(results, arguments.output):
        print(path)


if __name__ == "__main__":
    main()
