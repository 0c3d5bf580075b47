"""`python -m benchmarks`: measure, print the report, and write it to benchmarks/results/."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path

from benchmarks import harness, report, sweep
from chainrule.bench.workloads import PREDICTIONS, WORKLOADS, Workload


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
    parser.add_argument(
        "--sweep",
        nargs="?",
        type=int,
        const=60,
        metavar="N",
        help="training steps of N random networks instead (%(const)s), beside PyTorch eager",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sweep's networks (default: %(default)s)")
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
    # Of one thread the processor's time is measured, which does not grow with what else the machine does.
    settings = harness.Settings(
        arguments.threads, arguments.rounds, processor=arguments.sweep is not None and arguments.threads == 1
    )
    if arguments.quick:
        settings = replace(settings, rounds=3, least=0.02, kernel_repetitions=10)
    if not settings.processor:  # on a busy machine a thread that may move gets more of it
        harness.pin(arguments.threads)
    configurations = [c for c in harness.CONFIGURATIONS if c.peer in arguments.peers]
    workloads: list[Workload] = [workload for workload in known if workload.name in arguments.workloads]
    if arguments.predictions:
        workloads = list(PREDICTIONS)
    if arguments.sweep is not None:
        workloads = list(sweep.networks(arguments.sweep, arguments.seed))
        configurations = [c for c in configurations if c.name in sweep.CONFIGURATIONS]
    results = harness.run(workloads, settings, configurations, say=lambda line: print(line, flush=True))
    if arguments.sweep is not None:
        results |= {"seed": arguments.seed}
    print("\n" + report.markdown(results))
    for path in report.save(results, arguments.output):
        print(path)


if __name__ == "__main__":
    main()
