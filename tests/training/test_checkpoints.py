"""Checkpoints: a training that is ended anywhere, any number of times, has the bits of one that is not."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interrupted import Ended, ended_at, files, rows, run_to_the_end, same_state
from tests.pairwise import each
from training_problems import blobs, classifier, regressor, same_bits, snapshot

import chainrule as cr
from chainrule.training.checkpoints.schema import read
from chainrule.training.optimizers import optimizers
from chainrule.training.schedules import Schedule

X, Y = blobs(53)


def noisy(dtype: str = "float32") -> cr.Network:
    """Everything that draws, or keeps more than weights."""
    layers = [cr.Dense(9), cr.BatchNorm(), cr.Tanh(), cr.Dropout(0.3), cr.Dense(3), cr.Softmax()]
    return cr.Network(layers, input_shape=4, seed=1, dtype=dtype)


def same(tmp_path: Path, seed: int, make: Any, data: Any, options: Any, **checkpoint: Any) -> None:
    """The training that is ended and the one that is not are the same."""
    rng = np.random.default_rng(seed)
    whole = make()
    expected = cr.fit(whole, *data(), **options())
    folder = tmp_path / "kept"
    network, history, times = run_to_the_end(
        make, data, options, lambda: cr.Checkpoint(folder, **checkpoint), rng
    )
    assert times > 0
    assert same_bits(snapshot(whole), snapshot(network))
    assert rows(history) == rows(expected)
    assert history.stopped == expected.stopped
    assert history.restored_epoch == expected.restored_epoch
    assert same_state(history.optimizer_state, expected.optimizer_state)
    assert np.array_equal(network.classes, whole.classes)
    assert len(files(folder)) <= checkpoint.get("keep", 2)
    assert same_bits(cr.load(folder).parameters, read(max(folder.iterdir())).parameters)


# -- every optimizer, every schedule ------------------------------------------------------------------------
def kinds(base: type[Any]) -> list[type[Any]]:
    """All public classes below one, so that what is new is tried too."""
    below = [kind for sub in base.__subclasses__() for kind in (sub, *kinds(sub))]
    return [kind for kind in dict.fromkeys(below) if kind.__module__.startswith("chainrule.")]


def with_momentum(kind: type[Any]) -> list[Any]:
    """An optimizer as it is, and with every slot that it may have."""
    made = [kind(0.01)]
    for options in ({"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}):
        try:
            made.append(kind(0.01, **options))
        except TypeError:
            continue
    return made


OPTIMIZERS = [made for kind in optimizers.values() for made in with_momentum(kind)]
SCHEDULES = kinds(Schedule)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_every_optimizer(optimizer: Any, tmp_path: Path) -> None:
    options = {"optimizer": optimizer, "batch_size": 8, "epochs": 3}
    same(tmp_path, 1, noisy, lambda: (X, Y), lambda: options, every_steps=4)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda kind: kind.__name__)
def test_every_schedule(schedule: Any, tmp_path: Path) -> None:
    options = {"optimizer": cr.Adam(schedule(0.02)), "batch_size": 8, "epochs": 4, "seed": 3}
    same(tmp_path, 2, classifier, lambda: (X, Y), lambda: options, every_steps=5)


# -- everything else that a fit may have --------------------------------------------------------------------
class Losses(cr.Callback):
    """State of a callback's own, in every form that a checkpoint holds."""

    every_steps = 3

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.sums = np.zeros(3)
        self.best: dict[Any, Any] = {}

    def on_step_end(self, context: cr.training.callbacks.Context) -> None:
        self.seen.append((context.epoch, context.step, context.loss))
        self.sums += context.loss * np.arange(3)
        self.best[context.epoch, "at"] = float("inf"), np.float32(context.loss)
        if len(self.seen) % 2:  # what it changes belongs to the training
            shifted = context.network.parameters["dense1.b"] + 1e-3
            context.network.set_parameters({**context.network.parameters, "dense1.b": shifted})

    def on_checkpoint(self, context: cr.training.callbacks.Context) -> dict[str, Any]:
        return {"seen": self.seen, "sums": self.sums, "best": self.best}

    def on_resume(self, context: cr.training.callbacks.Context, state: dict[str, Any]) -> None:
        self.seen, self.sums, self.best = state["seen"], state["sums"], state["best"]


STOPPING = {
    "none": dict,
    "early": lambda: {"early_stopping": 2},
    "kept": lambda: {"early_stopping": cr.EarlyStopping(2, restore_best=False)},
    "plateau": lambda: {"callbacks": [cr.ReduceOnPlateau(0.5, patience=1)]},
    "own": lambda: {"callbacks": [Losses(), lambda context: None]},
}
WEIGHTS = {
    "none": {},
    "samples": {"sample_weight": np.linspace(0.5, 2.0, len(X))},
    "classes": {"class_weight": "balanced", "penalty": cr.L2(0.01)},
    "frozen": {"freeze": "dense1", "rate_factors": {"dense2.b": 0.5}},
    "clipped": {"constraint": cr.constraints.MaxNorm(1.0), "penalty": cr.L1(0.01)},
}
RHYTHMS: dict[str, dict[str, Any]] = {
    "step": {"every_steps": 1}, "steps": {"every_steps": 5}, "epochs": {"every": 1},
    "minutes": {"every_minutes": 1e-9}, "both": {"every_steps": 7, "every": 2, "keep": 3},
}  # fmt: skip
GRID = each(["float32", "float64"], [1, 8, 53, 60], STOPPING, WEIGHTS, RHYTHMS, [0.25, None], [True, False])


@pytest.mark.parametrize(("dtype", "size", "stopping", "weights", "rhythm", "validation", "shuffle"), GRID)
def test_every_kind_of_fit(
    dtype: str,
    size: int,
    stopping: str,
    weights: str,
    rhythm: str,
    validation: Any,
    shuffle: bool,
    tmp_path: Path,
) -> None:
    if stopping in ("early", "kept") and validation is None:
        validation = (X[:7], Y[:7])

    def options() -> dict[str, Any]:
        return {
            "batch_size": size, "epochs": 2 if size == 1 else 6, "validation": validation, "shuffle": shuffle,
            "optimizer": cr.SGD(0.5, momentum=0.9), **STOPPING[stopping](), **WEIGHTS[weights],
        }  # fmt: skip

    make = (lambda: classifier(dtype=dtype)) if size == 1 or size == 53 - 1 else (lambda: noisy(dtype))
    if size == 1 and rhythm in ("step", "minutes"):  # a hundred files
        rhythm = "steps"
    same(tmp_path, size, make, lambda: (X, Y), options, **RHYTHMS[rhythm])


def test_callbacks_of_ones_own_keep_what_they_say(tmp_path: Path) -> None:
    whole, parts = Losses(), Losses()
    cr.fit(classifier(), X, Y, batch_size=8, epochs=3, callbacks=whole)
    with pytest.raises(Ended), ended_at(4, before=False):
        cr.fit(classifier(), X, Y, batch_size=8, epochs=3, callbacks=Losses(),
               checkpoint=cr.Checkpoint(tmp_path, every_steps=4))  # fmt: skip
    cr.fit(classifier(), X, Y, batch_size=8, epochs=3, callbacks=parts, checkpoint=tmp_path)
    assert parts.seen == whole.seen
    assert parts.best == whole.best
    assert np.array_equal(parts.sums, whole.sums)


# -- batches ------------------------------------------------------------------------------------------------
CUT = [(X[start : start + 8], Y[start : start + 8]) for start in range(0, len(X), 8)]
GROWING = [(X[:3], Y[:3] // 2), (X[3:40], Y[3:40]), (X[40:], Y[40:])]  # more samples, and labels, than before


class Endless:
    """Without a length."""

    def __iter__(self) -> Iterator[Any]:
        return iter(CUT)


def by_number(epoch: int) -> Iterator[Any]:
    for number in np.random.default_rng(epoch).permutation(len(CUT)):
        yield CUT[number]


SOURCES: dict[str, Any] = {
    "list": lambda: (CUT,),
    "endless": lambda: (Endless(),),
    "function": lambda: (by_number,),
    "growing": lambda: (GROWING,),
    "batches": lambda: (cr.batches(X, Y, batch_size=8, seed=4),),
}


@pytest.mark.parametrize(
    ("source", "stopping", "rhythm"),
    each(SOURCES, ["none", "early", "own"], ["steps", "both", "epochs"], turns=2),
)
def test_batches(source: str, stopping: str, rhythm: str, tmp_path: Path) -> None:
    def options() -> dict[str, Any]:
        return {"epochs": 4, "validation": (X[:9], Y[:9]), "optimizer": cr.Adam(0.05), **STOPPING[stopping]()}

    same(tmp_path, 5, noisy, SOURCES[source], options, **RHYTHMS[rhythm])


def test_large_arrays_are_converted_batch_by_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.training.parts.LARGEST_COPY", 0.0)
    options = {"batch_size": 8, "epochs": 3}
    same(tmp_path, 6, classifier, lambda: (X.astype(np.float64), Y), lambda: options, every_steps=3)


def test_an_iterator_is_refused_before_training(tmp_path: Path) -> None:
    network = classifier()
    with pytest.raises(ValueError, match=r"^checkpoint goes on where training was ended, and an iterator"):
        cr.fit(network, iter(CUT), steps_per_epoch=2, checkpoint=tmp_path)
    assert not hasattr(network, "history") or network.history is None
    assert not files(tmp_path)


@pytest.mark.parametrize("place", ["within", "between"])
def test_a_source_that_is_not_the_same_again_is_refused(place: str, tmp_path: Path) -> None:
    turns = itertools.count()

    class Shuffling:
        def __iter__(self) -> Iterator[Any]:
            turn = next(turns)
            return iter([(X[start : start + 8] + turn, Y[start : start + 8]) for start in range(0, 48, 8)])

        def __len__(self) -> int:
            return 6

    rhythm: dict[str, Any] = {"every_steps": 4} if place == "within" else {"every": 1}
    with pytest.raises(Ended), ended_at(2, before=False):
        cr.fit(classifier(), Shuffling(), epochs=3, checkpoint=cr.Checkpoint(tmp_path, **rhythm))
    with pytest.raises(cr.DataError, match=r"batch \d of epoch 1 is not the one .* shuffle by its number"):
        cr.fit(classifier(), Shuffling(), epochs=3, checkpoint=tmp_path)
    history = cr.fit(
        classifier(), Shuffling(), epochs=3, checkpoint=cr.Checkpoint(tmp_path, allow_changes=True)
    )
    assert history.epoch == [1, 2, 3]


# -- what is another fit ------------------------------------------------------------------------------------
def begun(folder: Path, **options: Any) -> None:
    """A training of three epochs that was ended in the second."""
    with pytest.raises(Ended), ended_at(4, before=False):
        cr.fit(
            classifier(),
            X,
            Y,
            epochs=3,
            batch_size=8,
            checkpoint=cr.Checkpoint(folder, every_steps=3),
            **options,
        )


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "optimizer": ({"optimizer": cr.SGD(0.1)}, r"optimizer=Adam.* has optimizer=SGD"),
    "rate": ({"optimizer": cr.Adam(0.02)}, r"optimizer=Adam"),
    "batch_size": ({"batch_size": 9}, "batch_size=8, and this one has batch_size=9"),
    "shuffle": ({"shuffle": False}, "shuffle=True, and this one has shuffle=False"),
    "seed": ({"seed": 1}, "seed=0, and this one has seed=1"),
    "penalty": ({"penalty": cr.L2(0.1)}, "penalty=None"),
    "early": ({"early_stopping": 3, "validation": 0.1}, "callbacks="),
    "loss": ({"loss": cr.SquaredError()}, "loss=CrossEntropy"),
    "frozen": ({"freeze": "dense1"}, "rate_factors={}"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_another_argument_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    begun(tmp_path)
    changed, said = OTHERS[name]
    network = classifier()
    before, kept = snapshot(network), files(tmp_path)
    with pytest.raises(ValueError, match=said) as raised:
        cr.fit(network, X, Y, **{"epochs": 3, "batch_size": 8, "checkpoint": tmp_path, **changed})
    assert "resume=False" in str(raised.value)
    assert "allow_changes=True" in str(raised.value)
    assert same_bits(before, snapshot(network))
    assert files(tmp_path) == kept
    assert network.classes is None


# What becomes of every argument of fit: compared by its name, part of the data, or free to change.
COMPARED = {
    *("loss", "penalty", "constraint", "optimizer", "batch_size", "shuffle", "seed", "rate_factors"),
    *("class_weight", "steps_per_epoch", "training_size", "callbacks", "drop_last", "dropout_schedule"),
    "accumulate",
}
OF_DATA = {"X", "y", "validation", "sample_weight", "classes"}
FREE = {"network", "epochs", "progress", "threads", "checkpoint", "resume", "allow_nonfinite"}
WITHIN_OTHERS = {"freeze", "early_stopping", "comm"}  # rate_factors, callbacks, shards where there are ranks


def test_every_argument_is_decided_on(tmp_path: Path) -> None:
    """One that is new changes what is trained, or not: a resumed fit must know."""
    begun(tmp_path)
    taken = set(inspect.signature(cr.fit).parameters)
    assert set(read(max(tmp_path.iterdir())).state["settings"]) == COMPARED
    assert taken == COMPARED | OF_DATA | FREE | WITHIN_OTHERS


def test_callbacks_that_change_what_is_trained_are_compared(tmp_path: Path) -> None:
    def fit(**options: Any) -> Any:
        return cr.fit(classifier(), X, Y, epochs=3, batch_size=8, checkpoint=tmp_path, **options)

    begun(tmp_path, callbacks=[cr.ReduceOnPlateau(0.5, patience=1), lambda context: None])
    for other in ([], [cr.ReduceOnPlateau(0.5, patience=2)], [cr.ReduceOnPlateau(0.5, 1, min_delta=0.1)]):
        with pytest.raises(ValueError, match=r"callbacks=.*ReduceOnPlateau.* and this one has callbacks="):
            fit(callbacks=other)
    saving = cr.Checkpoint(tmp_path / "net.npz")  # changes nothing
    assert fit(callbacks=[saving, cr.ReduceOnPlateau(0.5, patience=1)]).epoch == [1, 2, 3]


def changed_data() -> dict[str, Any]:
    other, labels, wider = X.copy(), Y.copy(), np.hstack([X, X[:, :1]])
    other[3, 1] += 1e-3
    labels[5] = (labels[5] + 1) % 3
    return {
        "value": ((other, Y), "X is float32 .53, 4. with other values"),
        "label": ((X, labels), "y is int64 .53,. with other values"),
        "fewer": ((X[:-1], Y[:-1]), r"X is then float32 .53, 4., now float32 .52, 4."),
        "order": ((X[::-1], Y[::-1]), "X is float32"),
        "wider": ((wider, Y), "shape"),
    }


@pytest.mark.parametrize("name", changed_data())
def test_other_data_are_refused(name: str, tmp_path: Path) -> None:
    begun(tmp_path)
    data, said = changed_data()[name]
    with pytest.raises((cr.DataError, cr.ShapeError), match=said):
        cr.fit(classifier(), *data, epochs=3, batch_size=8, checkpoint=tmp_path)
    if name != "wider":
        history = cr.fit(classifier(), *data, epochs=3, batch_size=8,
                         checkpoint=cr.Checkpoint(tmp_path, allow_changes=True))  # fmt: skip
        assert history.epoch == [1, 2, 3]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda: classifier(dtype="float64"), "its dtype is float32, here float64"),
        (
            lambda: cr.Network([cr.Dense(8), cr.Tanh(), cr.Dense(3), cr.Softmax()], input_shape=4),
            "same classes",
        ),
        (lambda: cr.Network([cr.Dense(3), cr.Softmax()], input_shape=4), "its layers are .*Tanh.* here"),
    ],
)
def test_another_network_is_refused(other: Any, said: str, tmp_path: Path) -> None:
    begun(tmp_path)
    with pytest.raises(ValueError, match=said):
        cr.fit(other(), X, Y, epochs=3, batch_size=8, checkpoint=cr.Checkpoint(tmp_path, allow_changes=True))


def test_more_epochs(tmp_path: Path) -> None:
    """As if so many had been asked for from the beginning; not where the schedule would have been another."""
    options: dict[str, Any] = {"batch_size": 8, "optimizer": cr.Adam(0.01)}
    whole, parts = noisy(), noisy()
    cr.fit(whole, X, Y, epochs=5, **options)
    cr.fit(parts, X, Y, epochs=2, checkpoint=tmp_path, **options)
    assert cr.fit(parts, X, Y, epochs=5, checkpoint=tmp_path, **options).epoch == [1, 2, 3, 4, 5]
    assert same_bits(snapshot(whole), snapshot(parts))
    with pytest.raises(
        ValueError, match=r"is of epoch 5, and epochs=4 ends before it: write epochs=5, or more"
    ):
        cr.fit(noisy(), X, Y, epochs=4, checkpoint=tmp_path, **options)
    options["optimizer"] = cr.SGD(cr.CosineDecay(0.1))
    begun(tmp_path / "cosine", optimizer=options["optimizer"])
    with pytest.raises(ValueError, match=r"is of a fit of 3 epochs, here they are 5, .* write epochs=3"):
        cr.fit(classifier(), X, Y, epochs=5, checkpoint=tmp_path / "cosine", **options)


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 30, "validation": 0.2, "early_stopping": 1, "checkpoint": tmp_path}
    options |= {"optimizer": cr.SGD(2.0)}
    network, again = classifier(), classifier()
    first = cr.fit(network, X, Y, **options)
    kept = files(tmp_path)
    second = cr.fit(again, X, Y, **options)
    assert first.stopped is not None
    assert (second.stopped, rows(second)) == (first.stopped, rows(first))
    assert second.restored_epoch == first.restored_epoch
    assert same_bits(snapshot(network), snapshot(again))
    assert files(tmp_path) == kept
    assert again.history is second


def test_resume_says_what_is_to_be_done(tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 3, "batch_size": 8}
    with pytest.raises(cr.FileError, match="holds no checkpoint to go on from: write resume='auto'"):
        cr.fit(classifier(), X, Y, checkpoint=tmp_path / "none", resume=True, **options)
    assert not (tmp_path / "none").exists()
    begun(tmp_path)
    newest = files(tmp_path)[-1]
    trained = classifier(seed=5)
    cr.fit(
        trained, X, Y, checkpoint=tmp_path, resume=False, **options
    )  # and nothing of the one before is left
    assert files(tmp_path)[0] > newest
    fresh = classifier(seed=5)
    cr.fit(fresh, X, Y, **options)
    assert same_bits(snapshot(fresh), snapshot(trained))
    history = cr.fit(classifier(), X, Y, **options)
    with pytest.raises(ValueError, match="holds the checkpoints of a training, and resume is a history"):
        cr.fit(classifier(), X, Y, checkpoint=tmp_path, resume=history, **options)
    for wrong in ("yes", 3):
        with pytest.raises(TypeError, match="resume must be 'auto', True, False, or the history"):
            cr.fit(classifier(), X, Y, checkpoint=tmp_path, resume=wrong, **options)
    with pytest.raises(TypeError, match=r"resume=True is of checkpoints: fit\(..., checkpoint='runs/a'"):
        cr.fit(classifier(), X, Y, resume=True)
    with pytest.raises(TypeError, match=r"write fit\(..., checkpoint='runs/b', resume=True"):
        cr.fit(classifier(), X, Y, resume="runs/b")


def test_a_history_goes_on_into_checkpoints(tmp_path: Path) -> None:
    whole, parts = noisy(), noisy()
    options: dict[str, Any] = {"batch_size": 8, "optimizer": cr.Adam(0.01)}
    cr.fit(whole, X, Y, epochs=5, **options)
    first = cr.fit(parts, X, Y, epochs=2, **options)
    with pytest.raises(Ended), ended_at(4, before=False):
        cr.fit(
            parts, X, Y, epochs=3, resume=first, checkpoint=cr.Checkpoint(tmp_path, every_steps=3), **options
        )
    again = noisy()
    assert cr.fit(again, X, Y, epochs=3, checkpoint=tmp_path, **options).epoch == [1, 2, 3, 4, 5]
    assert same_bits(snapshot(whole), snapshot(again))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("net.npz", r"takes a folder.* checkpoint='net'; callbacks=\[Checkpoint\('net.npz'\)\]"),
        (3, r"checkpoint must be the path of a folder or Checkpoint\('runs/a', every_steps=1000\)"),
        (cr.Checkpoint("net.npz", best_only=True), r"best_only is of networks .* callbacks=\[Checkpoint"),
    ],
)
def test_what_is_no_folder(given: Any, said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        cr.fit(classifier(), X, Y, checkpoint=given)


def test_checkpoints_of_trainings_are_no_callbacks(tmp_path: Path) -> None:
    for options in ({"every_steps": 3}, {"every_minutes": 1}, {"keep": 3}, {"allow_changes": True}):
        name = next(iter(options))
        with pytest.raises(ValueError, match=rf"{name} is of checkpoints .* fit\(..., checkpoint=Checkpoint"):
            cr.fit(classifier(), X, Y, callbacks=[cr.Checkpoint(tmp_path / "n.npz", **options)])
    with pytest.raises(ValueError, match="ends in"):
        cr.fit(classifier(), X, Y, callbacks=[cr.Checkpoint("folder")])


def test_state_that_no_file_holds_is_refused_at_once(tmp_path: Path) -> None:
    class Wrong(cr.Callback):
        def on_checkpoint(self, context: cr.training.callbacks.Context) -> dict[str, Any]:
            return {"stream": [open]}

    with pytest.raises(ValueError, match=r"on_checkpoint of Wrong/0/0 is .*open.*, and a checkpoint holds"):
        cr.fit(classifier(), X, Y, callbacks=Wrong(), checkpoint=tmp_path)


def test_labels_of_strings_and_numbers(tmp_path: Path) -> None:
    names = np.array(["a", "b", "c"])[Y]
    options = {"batch_size": 8, "epochs": 3}
    same(tmp_path / "names", 7, classifier, lambda: (X, names), lambda: options, every_steps=3)
    same(tmp_path / "numbers", 8, regressor, lambda: (X, X[:, :2]), lambda: options, every_steps=3)


def test_pixels_and_frames_are_remembered(tmp_path: Path) -> None:
    images = (np.random.default_rng(0).random((40, 6, 6, 1)) * 255).astype(np.uint8)

    def make() -> cr.Network:
        return cr.Network(
            [cr.Conv2D(2, 3), cr.ReLU(), cr.Flatten(), cr.Dense(3), cr.Softmax()], input_shape=(6, 6, 1)
        )

    same(tmp_path, 9, make, lambda: (images, Y[:40]), lambda: {"batch_size": 7, "epochs": 3}, every_steps=4)
    assert cr.load(tmp_path / "kept").preparation is not None
