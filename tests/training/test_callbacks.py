"""Callbacks, early stopping and checkpoints, in real fits."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_problems import Array, blobs, classifier, regressor, same_bits, snapshot

from chainrule.base.errors import ArgumentError, FileError
from chainrule.losses import SquaredError
from chainrule.losses.penalties import L1, L2
from chainrule.networks.network import Network, load
from chainrule.networks.objective import Objective
from chainrule.training.callbacks import Callback, Checkpoint, Context, EarlyStopping, ReduceOnPlateau
from chainrule.training.fit import fit
from chainrule.training.history import History, Row, of_output
from chainrule.training.optimizers import SGD
from chainrule.training.progress import Progress


class Keeper(Callback):
    """Keeps the parameters of every epoch."""

    def __init__(self) -> None:
        self.parameters: list[dict[str, Array]] = []

    def on_epoch_end(self, context: Context) -> None:
        self.parameters.append(snapshot(context.network))


class Recorder(Callback):
    def __init__(self, name: str, log: list[Any]) -> None:
        self.name, self.log = name, log

    def on_fit_begin(self, context: Context) -> None:
        self.log.append((self.name, "begin", context.epoch, len(context.history), context.validated))

    def on_epoch_end(self, context: Context) -> None:
        self.log.append((self.name, context.epoch, context.last.epoch))

    def on_fit_end(self, context: Context) -> None:
        self.log.append((self.name, "end", context.epoch, context.stopped))


def test_order_of_calls() -> None:
    X, y = blobs(12)
    log: list[Any] = []
    fit(classifier(), X, y, epochs=2, callbacks=[Recorder("a", log), Recorder("b", log)])
    begin, end = ("begin", 0, 0, False), ("end", 2, None)
    calls = [begin, (1, 1), (2, 2), end]
    assert log == [(name, *call) for call in calls for name in ("a", "b")]


def test_a_function_is_called_after_every_epoch() -> None:
    X, y = blobs(12)
    seen: list[tuple[int, float]] = []
    history = fit(
        classifier(),
        X,
        y,
        epochs=3,
        callbacks=lambda context: seen.append((context.epoch, context.last.loss)),
    )
    assert seen == list(zip(history.epoch, history.loss, strict=True))


def test_a_callback_stops_training() -> None:
    X, y = blobs(12)
    log: list[Any] = []

    def stop(context: Context) -> None:
        if context.epoch == 2:
            context.stop("enough")
            context.stop("later reasons do not count")

    history = fit(classifier(), X, y, epochs=9, callbacks=[stop, Recorder("a", log)])
    assert (len(history), history.stopped) == (2, "enough")
    assert log[-1] == ("a", "end", 2, "enough")


def test_stop_from_another_thread_ends_within_the_epoch() -> None:
    X, y = blobs(3000)
    reached: list[Context] = []

    class Remember(Callback):
        def on_fit_begin(self, context: Context) -> None:
            reached.append(context)
            threading.Timer(0.1, context.stop, ("from outside",)).start()

    network = classifier()
    history = fit(network, X, y, epochs=10**6, callbacks=Remember())
    assert history.stopped == "from outside"
    assert len(history) == reached[0].epoch < 10**6


def test_a_callback_may_change_the_parameters() -> None:
    X, y = blobs(12)

    def zero(context: Context) -> None:
        context.network.set_parameters({"dense2.b": [0.0, 0.0, 0.0], "dense2.W": np.zeros((3, 7))})

    network = classifier()
    fit(network, X, y, epochs=2, callbacks=[zero])
    assert not network.parameters["dense2.W"].any()
    history = fit(network, X, y, epochs=1, batch_size=100)
    assert history.loss[0] == pytest.approx(np.log(3), rel=1e-6)  # all classes equally likely


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_callback_that_does_not_read_the_network_sees_its_parameters_all_the_same(optimizer: str) -> None:
    class Blind(Callback):
        reads_network = False

        def __init__(self) -> None:
            self.seen: list[dict[str, Array]] = []

        def on_epoch_end(self, context: Context) -> None:
            assert context.parameters is not None
            self.seen.append(context.parameters())

    X, y = blobs()
    found = []
    keeper = Keeper()
    for others in ([], [keeper]):
        network, blind = classifier(), Blind()
        fit(network, X, y, epochs=4, optimizer=optimizer, callbacks=[blind, *others], progress=False)
        found.append([*blind.seen, snapshot(network)])
    assert all(map(same_bits, *found))
    assert all(map(same_bits, found[0], keeper.parameters))


def test_an_error_in_a_callback_ends_the_fit_and_every_callback() -> None:
    X, y = blobs(12)
    log: list[Any] = []

    def fail(context: Context) -> None:
        raise RuntimeError("mine")

    network = classifier()
    before = snapshot(network)
    with pytest.raises(RuntimeError, match="mine"):
        fit(network, X, y, epochs=9, callbacks=[Recorder("a", log), fail, Recorder("b", log)])
    assert log[-2:] == [
        ("a", "end", 1, "RuntimeError after epoch 1"),
        ("b", "end", 1, "RuntimeError after epoch 1"),
    ]
    assert network.history.epoch == [1]
    assert not same_bits(before, snapshot(network))


def test_functions_that_an_object_holds_are_looked_at_though_its_class_is_known() -> None:
    class Quiet(Callback):
        pass

    network, X, y = classifier(), *blobs(40)
    fit(network, X, y, epochs=1, callbacks=Quiet(), progress=False)
    other = Quiet()
    other.on_batch_end = lambda context: None  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="on_batch_end"):
        fit(network, X, y, epochs=1, callbacks=other, progress=False)
    fit(network, X, y, epochs=1, callbacks=Quiet(), progress=False)


def test_a_class_instead_of_an_object() -> None:
    X, y = blobs(12)
    with pytest.raises(TypeError, match=r"write Recorder\(\.\.\.\)"):
        fit(classifier(), X, y, callbacks=[Recorder])  # type: ignore[list-item]


# -- early stopping


def told(
    stopping: EarlyStopping, losses: list[float], network: Network, column: str = "validation_loss"
) -> Context:
    """What fit would tell: a row per value, until stopped; parameters change in every epoch."""
    context = Context(network, History(), len(losses), validated=True)
    stopping.on_fit_begin(context)
    for epoch, value in enumerate(losses, 1):
        network.set_parameters({"dense1.b": np.full(6, epoch)})
        context.history.append(Row(epoch, **{"loss": 0.0, column: value}))  # type: ignore[arg-type]
        context.epoch = epoch
        stopping.on_epoch_end(context)
        if context.stopped:
            break
    stopping.on_fit_end(context)
    return context


@pytest.mark.parametrize(
    ("options", "values", "last", "best"),
    [
        ({"patience": 2}, [5, 4, 3, 3.5, 3.2, 9], 5, 3),
        ({"patience": 1}, [5, 4, 4], 3, 2),  # equal is no improvement
        ({"patience": 3}, [5, 4, 4.5, 3, 4, 4, 2.5], 7, 7),
        ({"patience": 2, "min_delta": 1.0}, [5, 4.5, 4.2, 1], 3, 1),
        ({"patience": 2, "monitor": "validation_accuracy"}, [0.5, 0.7, 0.6, 0.7, 0.9], 4, 2),
        ({"patience": 9}, [5, 4, 3], 3, 3),  # the epochs run out
    ],
)
def test_patience(options: dict[str, Any], values: list[float], last: int, best: int) -> None:
    network = regressor()
    stopping = EarlyStopping(**options)
    context = told(stopping, values, network, options.get("monitor", "validation_loss"))
    assert (context.epoch, stopping.best_epoch, stopping.best_value) == (last, best, values[best - 1])
    assert (network.parameters["dense1.b"] == best).all()
    told(stopping, [1.0], network, options.get("monitor", "validation_loss"))  # used again: a fresh start
    assert stopping.best_epoch == 1


def test_restore_best_false_keeps_the_last() -> None:
    network = regressor()
    told(EarlyStopping(1, restore_best=False), [1, 2, 3], network)
    assert (network.parameters["dense1.b"] == 2).all()


def test_early_stopping_in_a_fit_restores_the_best_bits() -> None:
    X, y = blobs(60)
    noise = np.random.default_rng(0).permutation(y)  # nothing to learn: the validation loss rises soon
    kept = Keeper()
    network = classifier()
    options = {"validation": 0.3, "early_stopping": 3, "optimizer": SGD(0.5), "callbacks": kept}
    history = fit(network, X, noise, epochs=200, **options)  # type: ignore[arg-type]
    best = history.best.epoch
    assert len(history) == best + 3 < 200
    assert history.stopped is not None
    assert history.stopped.startswith("no improvement for 3 epochs, best validation loss ")
    assert history.stopped.endswith(f"in epoch {best}")
    assert same_bits(kept.parameters[best - 1], snapshot(network))
    assert not same_bits(kept.parameters[-1], snapshot(network))


def test_an_interrupt_restores_the_best_too() -> None:
    X, y = blobs(30)
    stopping = EarlyStopping(50)
    noise = np.random.default_rng(0).permutation(y)
    kept = Keeper()

    class Interrupt(Progress):
        def end_epoch(self, row: Row) -> None:
            if row.epoch == 5:
                raise KeyboardInterrupt

    network = classifier()
    with pytest.raises(KeyboardInterrupt):
        fit(
            network,
            X,
            noise,
            epochs=9,
            validation=0.3,
            early_stopping=stopping,
            optimizer=SGD(2.0),
            progress=Interrupt(),
            callbacks=kept,
        )
    assert same_bits(kept.parameters[stopping.best_epoch - 1], snapshot(network))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EarlyStopping(0), "patience must be a whole number of at least 1"),
        (lambda: EarlyStopping(monitor="val_loss"), "monitor must be one of loss, accuracy, validation_loss"),
        (lambda: EarlyStopping(min_delta=-1.0), "min_delta must be a number at least 0"),
        (lambda: Checkpoint("net.npz", every=0), "every must be a whole number of at least 1"),
        (lambda: Checkpoint("x{ep}.npz"), "nothing but {epoch} .* received 'x{ep}.npz' .*KeyError"),
        (lambda: Checkpoint("x{.npz"), "received 'x{.npz' .* a brace itself is written twice"),
        (lambda: Checkpoint("{}.npz"), "nothing but {epoch}"),
        (lambda: Checkpoint("{epoch:s}.npz"), "nothing but {epoch}"),
        (lambda: Checkpoint("a.txt"), r"ends in .safetensors or .npz, received 'a.txt'"),
        (lambda: Checkpoint("net.{epoch}"), r"ends in .safetensors or .npz"),
    ],
)
def test_wrong_arguments_name_what_to_write(make: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        make()


def test_the_column_of_an_output_is_told_from_the_names_of_other_libraries() -> None:
    for typed in ("val_kind_loss", "kind.val_loss", "kind_val_loss"):
        assert of_output(typed, ["price", "kind"]) == "kind.validation_loss", typed
    for typed in ("kind_acc", "kind.acc", "kind_accuracy"):
        assert of_output(typed, ["kind"]) == "kind.accuracy", typed
    assert of_output("val_loss", ["kind"]) is None


def test_monitoring_an_accuracy_that_does_not_exist() -> None:
    X, _ = blobs(12)
    with pytest.raises(ValueError, match="monitor='accuracy' has no value: this loss has no classes"):
        fit(regressor(), X, X[:, :2], early_stopping=EarlyStopping(2, "accuracy"))


# -- checkpoints


def test_checkpoint_every_other_epoch(tmp_path: Path) -> None:
    X, y = blobs(12)
    kept = Keeper()
    saving = Checkpoint(tmp_path / "new" / "net-{epoch:02}.npz", every=2)
    fit(classifier(), X, y, epochs=5, callbacks=[saving, kept])
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["net-02.npz", "net-04.npz"]
    assert same_bits(kept.parameters[3], snapshot(load(tmp_path / "new" / "net-04.npz")))


def test_a_brace_of_a_checkpoints_name_is_written_twice(tmp_path: Path) -> None:
    X, y = blobs(12)
    fit(classifier(), X, y, epochs=1, callbacks=[Checkpoint(tmp_path / "{{a}}{epoch}.npz")])
    assert [path.name for path in tmp_path.iterdir()] == ["{a}1.npz"]


def test_checkpoint_of_the_best_only(tmp_path: Path) -> None:
    X, y = blobs(30)
    noise = np.random.default_rng(0).permutation(y)
    kept = Keeper()
    callbacks = [Checkpoint(tmp_path / "net.npz", best_only=True), kept]
    history = fit(classifier(), X, noise, epochs=12, validation=0.3, optimizer=SGD(1.0), callbacks=callbacks)
    assert history.best.epoch < 12
    assert same_bits(kept.parameters[history.best.epoch - 1], snapshot(load(tmp_path / "net.npz")))
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]


def test_a_failed_save_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = blobs(12)
    path = tmp_path / "net.npz"
    network = classifier()
    fit(network, X, y, epochs=1, callbacks=[Checkpoint(path)])
    before = path.read_bytes()

    def broken(descriptor: int) -> None:  # behind the writing, before the file takes its place
        raise OSError(28, "disk full")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(FileError, match="disk full"):
        fit(network, X, y, epochs=1, callbacks=[Checkpoint(path)])
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.npz"]


@pytest.mark.parametrize(
    ("pattern", "made"),
    [
        ("n-{epoch:03}-{loss:.2f}.npz", "n-{e:03}-{r.loss:.2f}.npz"),
        ("{validation_loss:.4f}.npz", "{r.validation_loss:.4f}.npz"),
        ("{accuracy:.0%}-{validation_accuracy:.2f}.npz", "{r.accuracy:.0%}-{r.validation_accuracy:.2f}.npz"),
        ("{epoch}/net.npz", "{e}/net.npz"),
        ("a/{epoch:02}/{loss:.1e}/net.npz", "a/{e:02}/{r.loss:.1e}/net.npz"),
        ("{{epoch}}/{epoch}.npz", "{{epoch}}/{e}.npz"),
        ("{{x}}/{epoch}/{{y}}.npz", "{{x}}/{e}/{{y}}.npz"),
    ],
)
def test_names_with_the_columns_of_the_history(tmp_path: Path, pattern: str, made: str) -> None:
    X, y = blobs(30)
    saving = Checkpoint(f"{tmp_path}/{pattern}")
    history = fit(classifier(), X, y, epochs=3, validation=0.3, callbacks=saving)
    expected = {made.format(e=row.epoch, r=row) for row in history}
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.npz")} == expected
    assert not [
        path for path in tmp_path.rglob("*") if path.is_dir() and "{" in path.name and "{{" not in pattern
    ]


FIELDS = ["epoch", "loss", "accuracy", "validation_loss", "validation_accuracy"]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_a_field_without_a_value_is_refused_before_training(
    tmp_path: Path, field: str, validated: bool, kind: str
) -> None:
    X, y = blobs(30)
    network, targets = (classifier(), y) if kind == "classes" else (regressor(), X[:, :2])
    before = snapshot(network)
    saving = Checkpoint(tmp_path / f"{{{field}:.3f}}.npz")
    options: dict[str, Any] = {"epochs": 1, "validation": 0.3 if validated else None, "callbacks": saving}
    lacking = field.startswith("validation") and not validated
    if lacking or (field.endswith("accuracy") and kind == "numbers"):
        advice = field.removeprefix("validation_") if lacking else field.replace("accuracy", "loss")
        with pytest.raises(ArgumentError, match=rf"{{{field}}} in path .* write {{{advice}}}"):
            fit(network, X, targets, **options)
        assert same_bits(before, snapshot(network))
        assert not list(tmp_path.iterdir())
    else:
        fit(network, X, targets, **options)
        assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "pattern",
    ["{val_loss:.2f}", "{rate}", "{seconds}", "{0}", "{}", "{epoch.real}", "{epoch[0]}", "{epoch:s}",
     "{loss:d}", "{loss:.2q}", "{loss", "loss}", "{loss:/>9}", "{Epoch}", "{epoch:.2f", "{loss!z}"],
)  # fmt: skip
def test_a_pattern_that_cannot_be_filled_is_refused_when_it_is_made(pattern: str) -> None:
    with pytest.raises(ArgumentError, match="path must be a file name with nothing but"):
        Checkpoint(f"{pattern}.npz")
    with pytest.raises(ArgumentError, match="path must be a file name with nothing but"):
        Checkpoint(f"{pattern}/net.npz")


@pytest.mark.parametrize(
    ("foreign", "ours"),
    [("val_loss", "validation_loss"), ("val_acc", "validation_accuracy"),
     ("val_accuracy", "validation_accuracy"), ("acc", "accuracy"), ("train_loss", "loss")],
)  # fmt: skip
def test_fields_of_keras_are_told_ours(foreign: str, ours: str) -> None:
    with pytest.raises(ArgumentError, match=f"{foreign} is {{{ours}}} here"):
        Checkpoint(f"w-{{{foreign}:.2f}}.npz")


@pytest.mark.parametrize("name", ["{epoch}", "run-{epoch:02}", "{loss:.2f}"])
def test_a_folder_that_is_called_like_a_pattern(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = blobs(12)
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir()
    escaped = name.replace("{", "{{").replace("}", "}}")
    for path in (f"{name}/net.npz", f"{tmp_path}/{name}/{{epoch}}.npz"):
        with pytest.raises(ArgumentError, match=f"there is a folder that is called .*{re.escape(escaped)}"):
            Checkpoint(path)
    fit(classifier(), X, y, epochs=1, callbacks=Checkpoint(f"{escaped}/net.npz"))
    assert [str(path) for path in Path().rglob("*.npz")] == [f"{name}/net.npz"]
    assert [path.name for path in Path().iterdir()] == [name]


@pytest.mark.parametrize("monitor", ["accuracy", "validation_accuracy"])
def test_an_accuracy_that_there_is_not_is_refused_before_training(monitor: str, tmp_path: Path) -> None:
    X, _ = blobs(12)
    for callback in (
        EarlyStopping(2, monitor),
        Checkpoint(tmp_path / "n.npz", best_only=True, monitor=monitor),
        ReduceOnPlateau(monitor=monitor),
    ):
        network = regressor()
        before = snapshot(network)
        with pytest.raises(ArgumentError, match=f"monitor='{monitor}' has no value"):
            fit(network, X, X[:, :2], validation=0.3, callbacks=callback)
        assert same_bits(before, snapshot(network))


def test_a_callback_is_told_what_the_penalty_adds() -> None:
    X, y = blobs(12)
    for penalty in (None, L2(0.5), L1(0.2), L2(0.5, per_sample=True)):
        objective, told = Objective(SquaredError(), penalty, len(X)), []

        def note(context: Context, told: list[float] = told) -> None:
            assert context.penalty is not None
            told.append(context.penalty())

        network = classifier()
        fit(network, X, y, epochs=1, penalty=penalty, callbacks=note, progress=False)
        expected = objective.penalty_value(network.parameters, network.parameter_specs)
        assert told == pytest.approx([expected], rel=1e-5, abs=0), str(penalty)
