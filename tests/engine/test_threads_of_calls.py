"""A call's number of threads is the call's: nothing is left of it, however calls overlap, nest and end; and
no call sets anything else of the process, not even for a while.
"""

from __future__ import annotations

import os
import queue
import random
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import threadpoolctl

import chainrule as cr
from chainrule import engine
from tests.engine.processes import output

SECONDS = 60  # of waiting for an event: far more than any needs, so that a deadlock fails
X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
Y = np.arange(40) % 3


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = engine.threads()
    engine.set_threads(3)  # what the process has in every test here
    yield
    engine.set_threads(before)


def network() -> cr.Network:
    return cr.Network([cr.Dense(5), cr.Tanh(), cr.Dense(3), cr.Softmax()], input_shape=6, seed=1)


def fit(callback: Callable[..., Any], threads: int | None, **options: Any) -> cr.Network:
    trained = network()
    cr.fit(trained, X, Y, epochs=1, progress=False, threads=threads, callbacks=[callback], **options)
    return trained


def everywhere(count: int) -> bool:
    """Whether this is what cr.threads, cr.info and threadpoolctl see in a Python thread without a call."""
    with ThreadPoolExecutor(1) as other:
        seen = other.submit(engine.threads).result()
    controlled = [lib for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "chainrule"]
    return seen == count == controlled[0]["num_threads"]


@pytest.mark.parametrize("first_ends", [True, False])
@pytest.mark.parametrize("ends_badly", [True, False])
def test_overlapping_fits_leave_the_number_that_the_process_has(first_ends: bool, ends_badly: bool) -> None:
    """One begins with 1, the other with 4; they end in this or the other order, well or badly."""
    counts = 1, 4
    began, may_end = [threading.Event(), threading.Event()], [threading.Event(), threading.Event()]
    seen: dict[int, Any] = {}

    def run(i: int) -> None:
        def callback(context: Any) -> None:
            began[i].set()
            assert may_end[i].wait(SECONDS)
            seen[i] = engine.threads(), cr.info()["threads"]
            if ends_badly:
                raise KeyboardInterrupt if i else RuntimeError("of the callback")

        fit(callback, counts[i])

    with ThreadPoolExecutor(2) as pool:
        fits = []
        for i in range(2):
            fits.append(pool.submit(run, i))
            assert began[i].wait(SECONDS)
            assert engine.threads() == 3
            assert everywhere(3)
        for i in (0, 1) if first_ends else (1, 0):
            may_end[i].set()
            error = fits[i].exception(SECONDS)
            assert (error is not None) == ends_badly, error
            assert engine.threads() == 3
    assert seen == {0: (1, 1), 1: (4, 4)}
    assert everywhere(3)


def test_any_order_of_calls_within_calls_in_several_python_threads() -> None:
    """Commands to four threads in one random order: a call begins, a call ends, somebody sets the process's
    number. After each, every thread has the number of its innermost call, or the process's.
    """
    rng = random.Random(5)

    class Worker(threading.Thread):
        def __init__(self) -> None:
            super().__init__(daemon=True)
            self.todo: queue.Queue[Any] = queue.Queue()
            self.done: queue.Queue[Any] = queue.Queue()
            self.calls: list[tuple[int, Any]] = []
            self.start()

        def run(self) -> None:
            while (command := self.todo.get()) is not None:
                self.done.put(command())

        def ask(self, command: Callable[[], Any]) -> Any:
            self.todo.put(command)
            return self.done.get(timeout=SECONDS)

        def begin(self, count: int) -> None:
            self.calls.append((count, engine.threads_of_call(count)))
            self.calls[-1][1].__enter__()

        def end(self) -> None:
            self.calls.pop()[1].__exit__(None, None, None)

    workers, process = [Worker() for _ in range(4)], 3
    for _ in range(400):
        worker, what, count = rng.choice(workers), rng.random(), rng.randint(1, 6)
        if what < 0.2:
            process = count
            worker.ask(lambda count=count: engine.set_threads(count))
        elif what < 0.6:
            worker.ask(lambda worker=worker, count=count: worker.begin(count))
        elif worker.calls:
            worker.ask(worker.end)
        for each in workers:
            expected = each.calls[-1][0] if each.calls else process
            assert each.ask(engine.threads) == expected
        assert engine.threads() == process
    for worker in workers:
        worker.todo.put(None)


def test_a_fit_within_a_fit_has_its_own_number_and_gives_the_outer_its_back() -> None:
    seen = []

    def outer(context: Any) -> None:
        seen.append(engine.threads())
        fit(lambda _: seen.append(engine.threads()), 2)
        seen.append(engine.threads())
        fit(lambda _: seen.append(engine.threads()), None)  # none of its own: that of the call around it
        cr.fit_full_batch(network(), X, Y, iterations=1, threads=5, progress=False)
        context.network.predict(X)
        seen.append(engine.threads())

    fit(outer, 4)
    assert seen == [4, 2, 4, 4, 4]
    assert everywhere(3)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, GeneratorExit])
def test_whatever_ends_a_fit_ends_its_number_of_threads(error: type[BaseException]) -> None:
    def callback(context: Any) -> None:
        raise error

    with pytest.raises(error):
        fit(callback, 2)
    assert engine.threads() == 3
    with pytest.raises(cr.NonFiniteError), np.errstate(all="ignore"):
        cr.fit(network(), X, Y, optimizer=cr.SGD(1e38), threads=2, progress=False)
    with pytest.raises(ValueError, match="threads must be a whole number from 1 to 256"):
        cr.fit(network(), X, Y, threads=0)
    assert everywhere(3)


def test_what_is_set_during_a_fit_is_what_the_process_has_after_it() -> None:
    """set_threads and threadpoolctl speak of the process: a fit neither takes their number nor undoes it."""
    seen = []

    def callback(context: Any) -> None:
        with threadpoolctl.threadpool_limits(2, user_api="chainrule"):
            seen.append((engine.threads(), everywhere(2)))
        seen.append((engine.threads(), everywhere(3)))
        engine.set_threads(6)
        seen.append((engine.threads(), everywhere(6)))

    fit(callback, 4)
    assert seen == [(4, True)] * 3
    assert everywhere(6)


def test_a_child_forked_during_a_fit_has_the_number_of_its_thread() -> None:
    """From the callback, which is within the call, and from another thread meanwhile, which is not."""
    code = """
        import os, threading
        engine.set_threads(3)
        def count_in_child():
            child = os.fork()
            if child == 0:
                seen = engine.threads()
                train()
                os._exit(10 * seen + engine.threads())
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        within, over, seen = threading.Event(), threading.Event(), []
        def callback(context):
            seen.append(count_in_child())
            within.set()
            over.wait(60)
        X, y = data()
        options = dict(epochs=1, threads=2, callbacks=[callback], progress=False)
        call = threading.Thread(target=cr.fit, args=(network(), X, y), kwargs=options)
        call.start()
        within.wait(60)
        seen.append(count_in_child())
        over.set()
        call.join()
        print(seen, engine.threads())
    """
    assert output(code) == "[22, 33] 3"


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts the system's threads in /proc")
def test_the_number_is_that_of_the_threads_at_work() -> None:
    """Those of the system: a fit with 3 of them starts 2, a fit with 1 none, whatever the process has."""
    code = """
        import os
        tasks = lambda: len(os.listdir("/proc/self/task"))
        engine.set_threads(4)
        before = tasks()
        alone = train(threads=1)
        print(tasks() - before, end=" ")
        engine.set_threads(1)
        three = train(threads=3)
        print(tasks() - before, end=" ")
        again = train()  # with 1: the two others are parked
        engine.set_threads(2)  # and joined, when the process gets fewer
        print(tasks() - before, end=" ")
        print(alone == three == again == train(threads=5) == train(threads=2) == train())
    """
    assert output(code, OMP_NUM_THREADS="1") == "0 2 0 True"


def test_fits_of_different_numbers_take_turns_with_the_pool() -> None:
    """Its threads are parked and woken all the time; nobody waits for ever, and no bit differs."""
    code = """
        import threading
        counts = (1, 2, 3, 5, None)
        expected = {i: train(seed=i, epochs=6) for i in range(len(counts))}
        results = {}
        def run(i):
            results[i] = train(seed=i, epochs=6, threads=counts[i])
        workers = [threading.Thread(target=run, args=(i,)) for i in expected]
        for worker in workers: worker.start()
        for count in (1, 4, 2, 3): engine.set_threads(count)
        for worker in workers: worker.join()
        print(results == expected, engine.threads())
    """
    assert output(code) == "True 3"


def test_a_system_that_gives_no_more_threads_does_not_change_the_number_set() -> None:
    """The loops go on with the threads there are; what the user set is theirs to change."""
    code = """
        import resource
        expected = train(threads=1)
        resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))
        engine.set_threads(200)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (300 << 20), resource.RLIM_INFINITY))
        print(train() == expected, engine.threads())
    """
    assert output(code) == "True 200"


# -- everything else that a process has ----------------------------------------------------------------------


def of_the_process(without_a_call: ThreadPoolExecutor) -> dict[str, Any]:
    """What any Python thread can set and every other one sees."""
    handlers = {s: signal.getsignal(s) for s in signal.valid_signals()}
    return {
        "signal handlers": handlers,
        "warning filters": list(warnings.filters),
        "showwarning": warnings.showwarning,
        "environment": dict(os.environ),
        "working directory": os.getcwd(),
        "random": random.getstate(),
        "numpy.random": np.random.get_state()[1].tobytes(),  # noqa: NPY002 - the one everybody shares
        "numpy printing": np.get_printoptions(),
        "ISA level": engine.level,
        "threads": without_a_call.submit(engine.threads).result(),
    }


def test_no_call_sets_anything_of_the_process_even_for_a_while(tmp_path: Any) -> None:
    """Looked at before, after, and from within the formulas, the callbacks and the progress of the calls."""
    import matplotlib.backends.backend_agg  # noqa: F401 - imports of other packages add their own filters
    import scipy.optimize  # noqa: F401

    other = ThreadPoolExecutor(1)
    before, looks, changed = of_the_process(other), [], set()

    def look(*_: Any) -> None:
        now = of_the_process(other)
        looks.append(now)
        changed.update(key for key, value in now.items() if value != before[key])

    class Watching(cr.Tanh):
        def f(self, z: Any) -> Any:
            look()
            return super().f(z)

        def df(self, z: Any) -> Any:
            look()
            return super().df(z)

    def calls() -> None:
        made = cr.Network(
            [cr.Dense(4), Watching(), cr.Dropout(0.2), cr.Dense(3), cr.Softmax()], input_shape=6
        )
        history = cr.fit(made, X, Y, epochs=1, threads=2, callbacks=[look], validation=0.2, progress=False)
        made.predict(X)
        made.backpropagate(X, Y)
        cr.check_gradients(made, X[:3], Y[:3], entries=1)
        cr.check_layer(Watching(), 3, entries=1)
        if threading.current_thread() is threading.main_thread():  # half a second each
            cr.explain(made, X[:2], Y[:2])
            history.plot(tmp_path / "curves.png")
        built_in = network()
        cr.fit_full_batch(built_in, X, Y, iterations=2, progress=False)
        path = tmp_path / f"{threading.get_ident()}.npz"
        built_in.save(path)
        cr.load(path).predict(X)

    with np.errstate(all="warn"):
        error_state = np.geterr()
        calls()
        assert np.geterr() == error_state
    with ThreadPoolExecutor(2) as pool:  # not the main thread, and two at a time
        for call in [pool.submit(calls) for _ in range(2)]:
            call.result(SECONDS)
    look()
    other.shutdown()
    assert len(looks) > 50
    assert not changed
