"""The sweep's networks, and what is told about them."""

from __future__ import annotations

from benchmarks import report, sweep

from chainrule.bench import operations_by_layer
from chainrule.bench.workloads import built
from chainrule.networks.architecture import architecture


def test_networks_are_those_of_their_seed() -> None:
    drawn = list(sweep.networks(15, 3))
    assert drawn == list(sweep.networks(15, 3))
    assert drawn[:8] == list(sweep.networks(8, 3))
    assert drawn != list(sweep.networks(15, 4))
    kinds = [workload.name.partition("-")[2] for workload in drawn]
    assert kinds == [kind.__name__ for kind in (*sweep.KINDS, *sweep.KINDS, sweep.KINDS[0])]
    for workload in drawn:
        net = architecture(built(workload.layers), workload.input_shape)
        work = sum(n for _, n in operations_by_layer(net.layers, workload.input_shape, net.shapes))
        assert 0 < 3 * workload.batch * work <= sweep.MOST


def test_the_worst_are_told_with_their_profile() -> None:
    times = [{"chainrule": {"median": 1e-3 * n}, "torch eager": {"median": 2e-3}} for n in range(1, 13)]
    profile = [
        {"name": "conv1", "seconds": [1e-3, 2e-3, 0.0], "operations": 10**8},
        {"name": "update", "seconds": [1e-3], "operations": 0},
    ]
    nothing = {"losses": {}, "errors": {}, "foreign_load": 0.0, "waiting_load": 0.0}
    results = {
        "date": "2026-11-30",
        "seed": 3,
        "threads": 1,
        "machine": {},
        "versions": {},
        "kernels": [],
        "conditions": {"rounds": 3, "least_seconds": 0.1, "minutes": 1, "processor": True},
        "peak_gflops": [100.0, 80.0],
        "workloads": {
            f"{n + 1}-mlp": {"title": f"network {n + 1}", "times": one, "profile": profile, **nothing}
            for n, one in enumerate(times)
        },
    }
    text = report.markdown(results)
    assert report.stem(results) == "2026-11-30-unknown-sweep-3"
    assert "| mlp | 12 | 0.50 | 3.25 | 5.45 | 6.00 | 10 |" in text
    assert "conv1 gradients 50 % (50 % of peak), update 25 %, conv1 forward 25 % (100 % of peak)" in text
    assert "network 12" in text
    assert "network 2 " not in text  # of twelve the ten worst
    assert "processor's" in text
