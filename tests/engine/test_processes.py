"""Threads, forks, environment variables and Ctrl-C: what surrounds the engine in a process."""

from __future__ import annotations

import threading
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import threadpoolctl

import chainrule as cr
from chainrule import engine
from chainrule.engine import Plan
from tests.engine.harness import LEVELS, same_bits
from tests.engine.processes import PRELUDE, output, run

# -- fork and spawn ------------------------------------------------------------------------------------------


def test_a_forked_child_trains_and_so_does_the_parent_afterwards() -> None:
    """The pool's threads do not survive a fork: the child makes its own, and the parent keeps its."""
    code = """
        import os
        engine.set_threads(3)
        expected = train()
        for _ in range(3):
            child = os.fork()
            if child == 0:
                os._exit(0 if engine.threads() == 3 and train() == expected else 1)
            assert train() == expected
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert train() == expected
        print("same")
    """
    assert output(code) == "same"


def test_a_child_forked_while_another_thread_trains() -> None:
    """The pool may be in the middle of a loop, its lock held: the child starts with a new one."""
    code = """
        import os, threading
        engine.set_threads(2)
        expected = train()
        worker = threading.Thread(target=train, kwargs={"epochs": 100})
        worker.start()
        for _ in range(10):
            child = os.fork()
            if child == 0:
                os._exit(0 if train() == expected else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        worker.join()
        print("same")
    """
    assert output(code) == "same"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(method: str, tmp_path: Any) -> None:
    script = tmp_path / "pool.py"
    body = """
        import hashlib
        def work(seed):
            return hashlib.sha256(repr(sorted(train(seed).items())).encode()).hexdigest()
        if __name__ == "__main__":
            import multiprocessing
            engine.set_threads(2)
            expected = [work(seed) for seed in (1, 2, 3)]
            with multiprocessing.get_context(METHOD).Pool(2) as pool:
                assert pool.map(work, (1, 2, 3)) == expected
            print("same")
    """
    script.write_text(PRELUDE + dedent(body).replace("METHOD", repr(method)))
    assert output(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')") == "same"


def test_exit_with_threads_asleep_or_awake() -> None:
    for end in ("", "import time; time.sleep(0.05)"):
        assert output(f"engine.set_threads(4)\ntrain()\n{end}\nprint('done')") == "done"


# -- Python threads ------------------------------------------------------------------------------------------


def epochs(seed: int, count: int) -> dict[str, Any]:
    layers = [
        cr.Conv2D(8, 3, padding=1),
        cr.ReLU(),
        cr.MaxPool2D(2),
        cr.Flatten(),
        cr.Dense(70),
        cr.Tanh(),
        cr.Dense(5),
        cr.Softmax(),
    ]
    network = cr.Network(layers, input_shape=(12, 12, 8), seed=seed)
    r = np.random.default_rng(seed)
    X, y = r.standard_normal((120, 12, 12, 8)).astype(np.float32), r.integers(0, 5, 120)
    plan = Plan(network, cr.CrossEntropy(), None, cr.Adam(), batch_size=32)
    for _ in range(count):
        plan.train_epoch(X, y, r.permutation(120), np.full(4, 1e-3))
    return plan.parameters()


@pytest.mark.parametrize("pool", [1, 2, 4])
def test_networks_trained_at_once_are_those_trained_alone(pool: int) -> None:
    """Only one Python thread has the pool at a time; the others compute alone, and no bit differs."""
    before = engine.threads()
    try:
        engine.set_threads(pool)
        expected = [epochs(seed, 4) for seed in range(3)]
        results: dict[int, Any] = {}
        workers = [
            threading.Thread(target=lambda s=seed: results.update({s: epochs(s, 4)})) for seed in range(3)
        ]
        for worker in workers:
            worker.start()
        for count in (1, 3, pool):  # waits for a loop to end, never breaks one
            engine.set_threads(count)
        for worker in workers:
            worker.join()
        assert all(same_bits(results[seed], expected[seed]) for seed in range(3))
    finally:
        engine.set_threads(before)


def test_threadpoolctl_sees_and_limits_the_pool() -> None:
    def ours() -> list[dict[str, Any]]:
        return [library for library in threadpoolctl.threadpool_info() if library["user_api"] == "chainrule"]

    before = engine.threads()
    try:
        engine.set_threads(3)
        assert [library["num_threads"] for library in ours()] == [3]
        assert ours()[0]["version"] == cr.__version__
        with threadpoolctl.threadpool_limits(1, user_api="chainrule"):
            assert engine.threads() == 1
        assert engine.threads() == 3
        with threadpoolctl.threadpool_limits(2):
            assert engine.threads() == 2
        assert engine.threads() == 3
    finally:
        engine.set_threads(before)


# -- environment ---------------------------------------------------------------------------------------------


def test_omp_num_threads_is_honoured() -> None:
    """As each of the children, forked before the engine is loaded, finds it."""
    code = """
        import os, sys
        from chainrule.networks import executor, model, per_sample  # most of what the engine loads
        assert "chainrule._native" not in sys.modules
        for value in VALUES:
            child = os.fork()
            if child == 0:
                os.environ["OMP_NUM_THREADS"] = value
                if not value:
                    del os.environ["OMP_NUM_THREADS"]
                from chainrule import engine
                print(engine.threads(), flush=True)
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """
    asked = ("", "1", "1,4", "999", "0", "-3", "many", "2")
    done = run(code.replace("VALUES", repr(asked)), prelude=False, OMP_NUM_THREADS="")
    here, *found = map(int, done.stdout.split())
    assert found == [1, 1, here, here, here, here, min(2, here)], done.stderr


def test_affinity_is_honoured() -> None:
    code = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    done = run(
        code + "import chainrule.engine\nprint(chainrule.engine.threads())", prelude=False, OMP_NUM_THREADS=""
    )
    assert done.stdout.strip() == "1", done.stderr


@pytest.mark.parametrize("level", LEVELS)
def test_the_environment_chooses_the_level(level: str) -> None:
    """And the level chosen is the one that runs: its bits are those of Plan(level=...)."""
    code = """
        from chainrule.engine import Plan
        X, y = data()
        loss, gradients = Plan(network(), cr.CrossEntropy(), batch_size=200).gradients(X, y)
        _, named = Plan(network(), cr.CrossEntropy(), batch_size=200, level=LEVEL).gradients(X, y)
        assert all(gradients[key].tobytes() == named[key].tobytes() for key in named)
        print(engine.info()["ISA level"], engine.level)
    """
    assert output(code.replace("LEVEL", repr(level), 1), CHAINRULE_ISA=level) == f"{level} {level}"


def test_the_highest_level_is_the_default() -> None:
    assert output("print(engine.level)", CHAINRULE_ISA="") == LEVELS[-1]


@pytest.mark.turns(2)
@pytest.mark.parametrize("value", ["avx512", "x86-64-v9", "X86-64-V2", "v3"])
def test_a_level_that_cannot_run_is_an_error_that_names_the_choices(value: str) -> None:
    reason = f"CHAINRULE_ISA={value} cannot run here; choose one of {', '.join(LEVELS)}"
    done = run("network().predict(data()[0])", CHAINRULE_ISA=value)
    assert done.returncode == 1
    assert f"SettingError: {reason}" in done.stderr
    done = run("import sys; from chainrule.cli import main; sys.exit(main(['info']))", CHAINRULE_ISA=value)
    assert done.returncode == 2
    assert done.stderr == f"chainrule: {reason} or unset the variable\n"


def test_info() -> None:
    info = cr.info()
    assert info["chainrule"] == cr.__version__
    assert info["ISA level"] in LEVELS
    assert info["ISA levels here"] == ", ".join(LEVELS)
    assert info["lanes float32"] == 2 * info["lanes float64"] == engine.lanes("float32")
    assert 1 <= info["threads"] <= 256
    assert all(isinstance(value, str | int) for value in info.values())


# -- poll and Ctrl-C -----------------------------------------------------------------------------------------


def long_plan() -> tuple[Plan, tuple[Any, ...]]:
    """Many steps of about a millisecond."""
    r = np.random.default_rng(0)
    network = cr.Network([cr.Dense(300), cr.Tanh(), cr.Dense(5), cr.Softmax()], input_shape=300, seed=1)
    X, y = r.standard_normal((64, 300)).astype(np.float32), r.integers(0, 5, 64)
    plan = Plan(network, cr.CrossEntropy(), None, cr.SGD(), batch_size=64)
    steps = 20_000
    return plan, (X, y, np.tile(np.arange(64), steps), np.full(steps, 1e-3))


def test_poll_sees_the_progress_and_stops() -> None:
    plan, arguments = long_plan()
    seen: list[tuple[int, int, float, float]] = []

    def poll(*progress: Any) -> bool:
        seen.append(progress)
        return len(seen) == 3

    result = plan.train_epoch(*arguments, poll=poll)
    assert len(seen) == 3
    assert [type(entry) for entry in seen[0]] == [int, int, float, float]
    steps = [entry[0] for entry in seen]
    assert steps == sorted(steps)
    assert {entry[1] for entry in seen} == {20_000}
    assert result.outcome == "stopped"
    assert seen[-1][0] <= result.steps <= seen[-1][0] + 1  # after the step it was called in
    assert 0 < result.loss < 3
    assert 0 <= seen[-1][3] <= 1


def steps_by_hand(count: int) -> dict[str, Any]:
    plan, (X, y, order, rates) = long_plan()
    plan.train_epoch(X, y, order[: 64 * count], rates[:count])
    return plan.parameters()


def test_an_exception_in_poll_leaves_the_last_whole_step() -> None:
    """The parameters are those after `steps` steps, to the bit, and the plan goes on from there."""
    plan, arguments = long_plan()
    seen = []

    def poll(step: int, *_: Any) -> bool:
        seen.append(step)
        if len(seen) == 3:
            raise LookupError("enough")
        return False

    with pytest.raises(LookupError, match="enough"):
        plan.train_epoch(*arguments, poll=poll)
    taken = plan.optimizer_state()["steps"]
    assert taken == seen[-1] > 0
    assert same_bits(plan.parameters(), steps_by_hand(taken))
    X, y, order, rates = arguments
    assert plan.train_epoch(X, y, order[:64], rates[:1]).outcome == "done"
    assert same_bits(plan.parameters(), steps_by_hand(taken + 1))


def test_a_poll_that_returns_no_bool_is_an_error() -> None:
    plan, arguments = long_plan()
    with pytest.raises((TypeError, RuntimeError)):
        plan.train_epoch(*arguments, poll=lambda *progress: "yes")  # type: ignore[arg-type,return-value]


INTERRUPT = """
    import os, signal, threading, time
    sent = []
    def interrupt():
        time.sleep(1.0)  # training has begun by then, on a loaded machine, too
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    net = network()
    X, y = data(2000)
    plan = None
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        CALL
    except KeyboardInterrupt:
        print("interrupted", time.monotonic() - sent[0] < 2.0)
    assert all(np.isfinite(array).all() for array in net.parameters.values())
    assert np.isfinite(net.predict(X[:5])).all()
    changed = any((array != network().parameters[name]).any() for name, array in net.parameters.items())
    cr.fit(net, X, y, epochs=1, progress=False)
    print(changed)
"""
CALLS = {
    "fit": "cr.fit(net, X, y, epochs=10**6, progress=False)",
    "fit with validation": "cr.fit(net, X, y, epochs=10**6, validation=(X, y), progress=False)",
    "fit full batch": "cr.fit(net, X, y, batch_size=2000, epochs=10**6, progress=False)",
}


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_ends_training_at_once_and_keeps_the_network(call: str) -> None:
    assert output(INTERRUPT.replace("CALL", CALLS[call])).split() == ["interrupted", "True", "True"]


def test_ctrl_c_ends_a_long_prediction() -> None:
    call = "[net.predict(np.tile(X, (100, 1))) for _ in range(10**6)]"
    assert output(INTERRUPT.replace("CALL", call)).split() == ["interrupted", "True", "False"]


def test_the_interpreter_may_end_while_a_daemon_thread_trains() -> None:
    done = run(
        """
        import threading, time
        X, y = data()
        train = lambda: cr.fit(network(), X, y, epochs=10**6, progress=False)
        threading.Thread(target=train, daemon=True).start()
        time.sleep(0.3)
        print("left")
        """
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "left", "")


@pytest.mark.parametrize("threads", [1, 2])
def test_poll_is_asked_within_one_long_operation(threads: int) -> None:
    """One forward pass and one gradient, each longer than a person waits for Ctrl-C."""
    samples, size = 6000, 3000
    network = cr.Network([cr.Dense(size)], input_shape=size)
    X = np.zeros((samples, size), np.float32)
    asked: list[int] = []

    def poll(step: int, *_: Any) -> bool:
        asked.append(step)
        return False

    before = engine.threads()
    try:
        engine.set_threads(threads)
        plan = Plan(network, cr.SquaredError(), optimizer=cr.SGD(), batch_size=samples)
        plan.train_epoch(X, X, np.arange(samples), np.ones(1), poll=poll)
    finally:
        engine.set_threads(before)
    assert len(asked) > 4  # between operations there are three


def test_a_piece_of_a_long_loop_is_at_most_20_ms_of_work() -> None:
    """Counted, not timed: a vector product takes about a nanosecond, so 2e7 of them 20 ms."""
    samples, size = 3000, 4000
    network = cr.Network([cr.Dense(size)], input_shape=size)
    plan = Plan(network, batch_size=samples)
    blocks = -(-samples // plan._native.lanes)
    before = engine.threads()
    try:
        engine.set_threads(1)
        plan.predict(np.zeros((samples, size), np.float32))
    finally:
        engine.set_threads(before)
    assert plan._native.interruptions > blocks * size * size / 2e7 > 2 * 32


def test_a_handler_of_ctrl_c_may_compute_and_set_threads() -> None:
    """It runs within a loop of the pool, and must not wait for that loop."""
    code = """
        import os, signal, threading, time
        engine.set_threads(2)
        size = 3000
        net = cr.Network([cr.Dense(size), cr.Tanh(), cr.Dense(size)], input_shape=size)
        X = np.zeros((5000, size), np.float32)
        plan = cr.Plan(net, cr.SquaredError(), optimizer=cr.SGD(), batch_size=len(X))
        def handler(*_):
            engine.set_threads(3)
            assert np.isfinite(network().predict(data()[0])).all()
            raise KeyboardInterrupt
        signal.signal(signal.SIGINT, handler)
        def interrupt():
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
        for call in (plan.predict, lambda X: plan.gradients(X, X), lambda X: plan.evaluate(X, X)):
            threading.Thread(target=interrupt).start()
            try:
                call(X)
            except KeyboardInterrupt:
                print("interrupted", engine.threads())
            engine.set_threads(2)
    """
    assert output(code).splitlines() == ["interrupted 3"] * 3


def test_a_thread_without_memory_is_an_error_of_the_call() -> None:
    code = """
        import ctypes, resource
        ctypes.CDLL(None).mallopt(-3, 1 << 16)  # M_MMAP_THRESHOLD: no room comes out of what was freed
        engine.set_threads(2)
        samples = 16
        X = np.zeros((samples, 2000, 64), np.float32)  # of a head K and V in every thread
        net = cr.Network([cr.MultiHeadAttention(2)], input_shape=(2000, 64))
        plan = cr.Plan(net, cr.SquaredError(), optimizer=cr.SGD(), batch_size=samples)
        order, rates = np.arange(samples), np.array([0.1])
        wide = cr.Network([cr.Dense(2000)], input_shape=2000)
        wide.predict(np.zeros((1000, 2000)))  # the pool has its threads
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 20), resource.RLIM_INFINITY))
        try:
            plan.train_epoch(X, X, order, rates)
        except MemoryError:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            print("MemoryError", plan.train_epoch(X, X, order, rates).outcome)
    """
    assert output(code) == "MemoryError done"
