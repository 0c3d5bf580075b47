"""fit on batches: the bits of arrays cut into the same batches, whatever gives them; and what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from training_problems import blobs, classifier, regressor, same_bits, snapshot

from chainrule import layers as L
from chainrule.base.errors import ArgumentError, ChainruleError, DataError, ShapeError
from chainrule.losses import Hinge
from chainrule.losses.constraints import MaxNorm
from chainrule.losses.penalties import L2
from chainrule.networks.network import Network
from chainrule.training.callbacks import Callback
from chainrule.training.fit import fit
from chainrule.training.optimizers import SGD, Adam, AdamW, RMSProp
from chainrule.training.schedules import CosineDecay, Schedule, StepDecay

X, Y = blobs(53)
SIZE = 8
CUT = [(X[start : start + SIZE], Y[start : start + SIZE]) for start in range(0, len(X), SIZE)]


class Loader:
    """As PyTorch's: __iter__ and __len__, and a batch is a list."""

    def __init__(self, batches: list[Any] = CUT) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        return iter([list(batch) for batch in self.batches])


class Numbered:
    """As Keras' Sequence: __getitem__ by number, and __len__; no end of its own."""

    def __len__(self) -> int:
        return len(CUT)

    def __getitem__(self, number: int) -> Any:
        return CUT[number % len(CUT)]


class Endless:
    """Without a length."""

    def __iter__(self) -> Iterator[Any]:
        return iter(CUT)


def of_epoch(epoch: int) -> Iterator[Any]:
    yield from CUT


def without_epoch() -> list[Any]:
    return CUT


def nothing() -> list[Any]:
    return []


SOURCES: dict[str, Callable[[], Any]] = {
    "list": lambda: CUT,
    "tuple": lambda: tuple(CUT),
    "loader": Loader,
    "numbered": Numbered,
    "endless": Endless,
    "function": lambda: of_epoch,
    "lambda": lambda: lambda epoch: CUT,
    "without-epoch": lambda: without_epoch,
    "cycle": lambda: itertools.cycle(CUT),
}


def drawing() -> Network:
    layers = [L.Dense(9), L.BatchNorm(), L.Tanh(), L.Dropout(0.3), L.Dense(3), L.Softmax()]
    return Network(layers, input_shape=4, seed=1)


def same_rows(one: Any, other: Any) -> bool:
    def plain(history: Any) -> list[Any]:
        return [replace(row, seconds=0.0, rate=0.0) for row in history]

    return plain(one) == plain(other)


def of_arrays(network: Network, **options: Any) -> Any:
    return fit(network, X, Y, batch_size=SIZE, shuffle=False, **options)


@pytest.mark.parametrize("name", SOURCES)
def test_any_source_gives_the_bits_of_arrays(name: str) -> None:
    steps = {"steps_per_epoch": len(CUT)} if name == "cycle" else {}
    for make in (classifier, drawing):
        one, other = make(), make()
        rows = of_arrays(one, epochs=3)
        assert same_rows(rows, fit(other, SOURCES[name](), epochs=3, **steps))
        assert same_bits(snapshot(one), snapshot(other))
        assert other.classes is not None
        assert other.classes.tolist() == [0, 1, 2]
        assert other.preparation is not None
        assert one.preparation is not None
        assert other.preparation.to_json() == one.preparation.to_json()


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.1),
        SGD(CosineDecay(0.1), momentum=0.9, clip_norm=0.5),
        SGD(0.1, clip_sample_norm=0.1),
        Adam(StepDecay(0.02, 0.5, 1)),
        AdamW(0.02),
        RMSProp(0.01, momentum=0.5),
    ],
    ids=repr,
)
@pytest.mark.parametrize("penalty", [None, L2(0.1), L2(0.1, per_sample=True)], ids=repr)
def test_every_rule_and_penalty(optimizer: Any, penalty: Any) -> None:
    for dtype in ("float32", "float64"):
        one, other = classifier(dtype=dtype), classifier(dtype=dtype)
        options = {"optimizer": optimizer, "penalty": penalty, "epochs": 3, "constraint": MaxNorm(1.5)}
        rows = of_arrays(one, **options)
        assert same_rows(rows, fit(other, Loader(), training_size=len(X), **options))
        assert same_bits(snapshot(one), snapshot(other))


def test_any_number_of_threads() -> None:
    results = []
    for threads in (1, 2, 3, 4):
        network = drawing()
        fit(network, of_epoch, epochs=2, threads=threads)
        results.append(snapshot(network))
    assert all(same_bits(results[0], other) for other in results)


def test_batches_of_other_sizes_are_steps_of_one_training() -> None:
    """Larger ones behind smaller: steps and moments go on, and the epoch's loss is that of its samples."""
    rng = np.random.default_rng(3)
    options: dict[str, Any] = {"optimizer": Adam(0.01), "epochs": 1, "classes": [0, 1, 2]}
    for _ in range(12):
        starts = rng.integers(0, 30, 5)
        cut = [
            (X[s : s + size], Y[s : s + size]) for s, size in zip(starts, rng.integers(1, 20, 5), strict=True)
        ]
        network, by_hand = classifier(dtype="float64"), classifier(dtype="float64")
        history = fit(network, cut, **options)
        last, losses = None, 0.0
        for x, y in cut:
            last = fit(by_hand, x, y, batch_size=64, shuffle=False, resume=last, **options)
            losses += last.last.loss * len(y)
        assert history.last.loss == pytest.approx(losses / sum(len(y) for _, y in cut), rel=1e-12)
        for key, array in network.parameters.items():
            np.testing.assert_allclose(array, by_hand.parameters[key], rtol=1e-10, err_msg=key)


def test_weights_count_as_they_are() -> None:
    w = np.random.default_rng(1).uniform(0.5, 2, len(X))
    w /= w.mean()
    w /= w.mean()
    weighted = [(x, y, w[i * SIZE : (i + 1) * SIZE]) for i, (x, y) in enumerate(CUT)]
    one, other = classifier(dtype="float64"), classifier(dtype="float64")
    of_arrays(one, epochs=2, sample_weight=w)
    fit(other, weighted, epochs=2)
    for key, array in one.parameters.items():
        np.testing.assert_allclose(other.parameters[key], array, rtol=1e-12)
    doubled = classifier(dtype="float64")
    fit(doubled, [(x, y, 2 * v) for x, y, v in weighted], epochs=2, optimizer=SGD(0.05))
    plain = classifier(dtype="float64")
    fit(plain, weighted, epochs=2, optimizer=SGD(0.1))
    for key, array in plain.parameters.items():
        np.testing.assert_allclose(doubled.parameters[key], array, rtol=1e-12)


def test_class_weights_count_as_they_are() -> None:
    by_class = {0: 0.5, 2: 3.0}
    one, other = classifier(), classifier()
    fit(one, CUT, epochs=2, class_weight=by_class)
    own = [(x, y, np.array([by_class.get(label, 1.0) for label in y.tolist()])) for x, y in CUT]
    fit(other, own, epochs=2)
    assert same_bits(snapshot(one), snapshot(other))
    none = [(x, y, np.zeros(len(y))) for x, y in CUT[:1]]
    still = classifier()
    before = snapshot(still)
    fit(still, none, epochs=1, optimizer=SGD(0.1))
    assert same_bits(before, snapshot(still))


VALIDATION = (X[:20] + 0.1, Y[:20])


@pytest.mark.parametrize(
    "validation",
    [
        VALIDATION,
        (*VALIDATION, np.ones(20)),
        [VALIDATION],
        lambda: [VALIDATION],
        lambda epoch: [(VALIDATION[0][:7], VALIDATION[1][:7]), (VALIDATION[0][7:], VALIDATION[1][7:])],
        Loader([VALIDATION]),
    ],
    ids=["arrays", "weighted", "list", "function", "in-two", "loader"],
)
def test_validation_as_arrays_or_batches(validation: Any) -> None:
    one, other, third = classifier(), classifier(), classifier()
    rows = of_arrays(one, epochs=3, validation=VALIDATION)
    of_batches = fit(other, of_epoch, epochs=3, validation=validation)
    of_both = of_arrays(third, epochs=3, validation=validation)
    for history in (of_batches, of_both):
        assert history.validation_loss == pytest.approx(rows.validation_loss, rel=1e-6)
        assert history.validation_accuracy == rows.validation_accuracy
    assert same_bits(snapshot(one), snapshot(other))
    assert same_bits(snapshot(one), snapshot(third))


def test_early_stopping_and_callbacks() -> None:
    seen: list[int] = []
    one, other = classifier(), classifier()
    options: dict[str, Any] = {"epochs": 30, "validation": VALIDATION, "early_stopping": 2}
    options |= {"optimizer": SGD(1.5, momentum=0.9)}
    rows = of_arrays(one, callbacks=lambda context: seen.append(context.epoch), **options)
    history = fit(other, Endless(), callbacks=lambda context: seen.append(context.epoch), **options)
    assert same_rows(rows, history)
    assert rows.stopped == history.stopped
    assert same_bits(snapshot(one), snapshot(other))
    assert seen == [*rows.epoch, *rows.epoch]


class Changes(Callback):
    """Changes the parameters after the first epoch."""

    def on_epoch_end(self, context: Any) -> None:
        if context.epoch == 1:
            context.network.parameters["dense1.b"] = np.ones_like(context.network.parameters["dense1.b"])


def test_a_callback_may_change_parameters() -> None:
    one, other = classifier(), classifier()
    of_arrays(one, epochs=2, callbacks=Changes())
    fit(other, CUT, epochs=2, callbacks=Changes())
    assert same_bits(snapshot(one), snapshot(other))


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "cycle"])
def test_resume_is_one_fit_bit_for_bit(name: str) -> None:
    one, other = drawing(), drawing()
    fit(one, SOURCES[name](), epochs=4, optimizer=Adam(0.01))
    first = fit(other, SOURCES[name](), epochs=2, optimizer=Adam(0.01))
    whole = fit(other, SOURCES[name](), epochs=2, resume=first)
    assert same_bits(snapshot(one), snapshot(other))
    assert whole.epoch == [1, 2, 3, 4]


def test_a_function_is_told_the_epoch() -> None:
    asked: list[int] = []

    def batches(epoch: int) -> list[Any]:
        asked.append(epoch)
        return CUT

    network = classifier()
    history = fit(network, batches, epochs=3)
    fit(network, batches, epochs=2, resume=history)
    assert asked == [1, 2, 3, 4, 5]


def test_an_iterator_is_exhausted_in_words_and_what_was_learned_stays() -> None:
    network, other = classifier(), classifier()
    with pytest.raises(DataError, match=r"exhausted in epoch 2; .*def batches\(epoch\)"):
        fit(network, iter(CUT), epochs=3)
    fit(other, CUT, epochs=1)
    assert same_bits(snapshot(network), snapshot(other))
    assert network.history.epoch == [1]
    assert network.history.optimizer_state is not None
    fit(classifier(), iter(CUT), epochs=1)


def test_an_iterator_goes_on_from_epoch_to_epoch() -> None:
    one, other = classifier(), classifier()
    history = fit(one, iter(CUT), epochs=3, steps_per_epoch=2)
    fit(other, CUT[:6], epochs=1)
    assert same_bits(snapshot(one), snapshot(other))
    assert len(history) == 3
    short = fit(classifier(), iter(CUT), epochs=2, steps_per_epoch=4)  # 4 and then 3
    assert len(short) == 2
    with pytest.raises(DataError, match="exhausted in epoch 3"):
        fit(classifier(), iter(CUT), epochs=3, steps_per_epoch=4)


def test_what_the_generator_raises_comes_out_as_it_is() -> None:
    class Broken(Exception):
        pass

    def broken(epoch: int) -> Iterator[Any]:
        yield from CUT[:3]
        raise Broken("the disk is gone")

    network, other = classifier(), classifier()
    with pytest.raises(Broken, match=r"^the disk is gone$"):
        fit(network, broken, epochs=2)
    fit(other, CUT[:3], epochs=1)
    assert same_bits(snapshot(network), snapshot(other))  # the last whole step
    assert "Broken in epoch 1" in network.history.stopped

    def interrupted(epoch: int) -> Iterator[Any]:
        yield CUT[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(network, interrupted, epochs=2)
    assert "interrupted" in network.history.stopped


def test_labels_are_remembered_and_grow_within_the_outputs() -> None:
    names = np.array(["dog", "cat", "eel"])
    order = [names[[0, 1, 0, 1]], names[[0, 2, 0, 1]], names[[2, 2, 1, 0]]]
    batches = [(X[4 * i : 4 * i + 4], y) for i, y in enumerate(order)]
    network = classifier()
    fit(network, batches, epochs=2)
    assert network.classes is not None
    assert network.classes.tolist() == ["cat", "dog", "eel"]
    named = classifier()
    fit(named, batches, epochs=1, classes=["eel", "dog", "cat"])
    assert named.classes is not None
    assert named.classes.tolist() == ["eel", "dog", "cat"]
    fourth = [*batches, (X[:2], np.array(["dog", "owl"]))]
    with pytest.raises(DataError, match=r"batch 4 of epoch 1: .*owl"):
        fit(classifier(), fourth, epochs=1)
    lonely = Network([L.Dense(1), L.Sigmoid()], input_shape=4)
    with pytest.raises(DataError, match=r"fit\(classes=\["):
        fit(lonely, [(X[:2], ["a", "a"]), (X[:2], ["a", "b"])], epochs=1)
    fit(lonely, [(X[:2], ["a", "a"]), (X[:2], ["a", "b"])], epochs=1, classes=["a", "b"])


def test_other_targets_too() -> None:
    y = np.stack([X[:, 0], X[:, 1]], axis=1)
    cut = [(X[s : s + SIZE], y[s : s + SIZE]) for s in range(0, len(X), SIZE)]
    one, other = regressor(), regressor()
    fit(one, X, y, batch_size=SIZE, shuffle=False, epochs=2)
    history = fit(other, cut, epochs=2)
    assert history.accuracy == [None, None]
    assert same_bits(snapshot(one), snapshot(other))
    signs = [(x, np.where(labels == 0, -1, 1)) for x, labels in CUT]
    network = Network([L.Dense(1)], input_shape=4)
    fit(network, signs, epochs=2, loss=Hinge())
    assert network.classes is not None
    assert network.classes.tolist() == [-1, 1]


def test_frames_give_their_names() -> None:
    columns = ["a", "b", "c", "d"]
    batches = [({name: x[:, i] for i, name in enumerate(columns)}, y) for x, y in CUT]
    network = classifier()
    fit(network, batches, epochs=1, penalty=L2(0.1, per_sample=True))
    assert network.preparation is not None
    assert network.preparation.feature_names == tuple(columns)
    swapped = [({name: batch[name] for name in columns[::-1]}, y) for batch, y in batches]
    other = classifier()
    fit(other, [batches[0], *swapped[1:]], epochs=1, penalty=L2(0.1, per_sample=True))
    assert same_bits(snapshot(network), snapshot(other))


class Odd(Schedule):
    """A user's own."""

    def rates(self, first_step: int, steps: int, steps_per_epoch: int, epochs: int) -> Any:
        return np.full(steps, self.rate)


class Longer(Loader):
    """Says less than it gives."""

    def __len__(self) -> int:
        return 3


def refusals() -> list[tuple[Any, dict[str, Any], type[Exception], str]]:
    wrong = X[:5, :3]
    short = [*CUT[:2], (X[:5], Y[:4])]
    broken = X[:5].copy()
    broken[2, 1] = np.nan
    given = {"y": Y}
    return [
        (CUT, {"batch_size": 8}, ArgumentError, "batch_size is of arrays"),
        (CUT, {"sample_weight": np.ones(53)}, ArgumentError, "each batch is (X, y, weights)"),
        (of_epoch, given, ArgumentError, "each batch is (X, y)"),
        (iter(CUT), given, ArgumentError, "each batch is (X, y)"),
        (Loader(), given, ArgumentError, "each batch is (X, y)"),
        (CUT, {"validation": 0.1}, ArgumentError, "cannot be divided"),
        (CUT, {"class_weight": "balanced"}, ArgumentError, "{label: weight}"),
        (CUT, {"class_weight": {7: 2.0}}, DataError, "class_weight has the label 7"),
        (Endless(), {"optimizer": SGD(CosineDecay(0.1))}, ArgumentError, "steps_per_epoch=..."),
        (of_epoch, {"optimizer": SGD(Odd(0.1))}, ArgumentError, "steps_per_epoch=..."),
        (Longer(), {"optimizer": SGD(CosineDecay(0.1))}, ArgumentError, "more batches than the 3"),
        (Loader(), {"penalty": L2(0.1, per_sample=True)}, ArgumentError, "training_size"),
        (X, {}, TypeError, "fit(network, X, y), or fit(network, batches)"),
        ([X, Y], {}, TypeError, "fit(network, X, y), or fit(network, batches)"),
        ((X, Y), {}, TypeError, "fit(network, X, y), or fit(network, batches)"),
        ([], {}, TypeError, "fit(network, X, y)"),
        ({"a": 1}, {}, TypeError, "fit(network, X, y)"),
        (Loader, {}, TypeError, "fit(network, X, y)"),
        (lambda: (X, Y), {}, TypeError, "batch 1 of epoch 1: a batch must be (X, y)"),
        (lambda: X, {}, TypeError, "a batch must be (X, y) or (X, y, weights), received ndarray of shape"),
        (lambda: 3, {}, TypeError, "must return or yield the batches"),
        (nothing, {}, DataError, "there is no batch in epoch 1"),
        (Loader([]), {}, DataError, "there is no batch in epoch 1"),
        (lambda: [{"X": X, "y": Y}], {}, TypeError, "a batch must be (X, y)"),
        (lambda: [(X, Y, Y, Y)], {}, TypeError, "of 4"),
        ([(wrong, Y[:5])], {}, ShapeError, "batch 1 of epoch 1: X must have the shape (N, 4)"),
        ([*CUT, (wrong, Y[:5])], {}, ShapeError, "batch 8 of epoch 1: X must have the shape (N, 4)"),
        (short, {}, DataError, "batch 3 of epoch 1: X has 5 samples but y has 4"),
        ([*CUT[:2], (broken, Y[:5])], {}, DataError, "batch 3 of epoch 1: X has 1 NaN"),
        ([(X[0], Y[0])], {}, ShapeError, "batch 1 of epoch 1: X is a single sample, of shape (4,): give"),
        ([(X[:0], Y[:0])], {}, DataError, "batch 1 of epoch 1: X is empty"),
        ([(X[:3], None)], {}, DataError, "y is None"),
        ([(X[:3], Y[:3], [1.0, -1.0, 1.0])], {}, DataError, "must not be negative"),
        ([(X[:3], Y[:3], [1.0])], {}, ShapeError, "one weight per sample"),
        ([(X[:3], Y[:3], ["a", "b", "c"])], {}, DataError, "batch 1 of epoch 1: weights"),
        (CUT, {"steps_per_epoch": 0}, ArgumentError, "steps_per_epoch"),
        (CUT, {"training_size": 0}, ArgumentError, "training_size"),
        (CUT, {"validation": nothing}, DataError, "no batch in epoch 1"),
        (CUT, {"validation": [(wrong, Y[:5])]}, ShapeError, "batch 1 of the validation after epoch 1"),
        (X, {**given, "steps_per_epoch": 3}, ArgumentError, "steps_per_epoch is of batches"),
        (X, {**given, "training_size": 3}, ArgumentError, "training_size is of batches"),
    ]


@pytest.mark.parametrize("number", range(len(refusals())))
def test_what_cannot_be_meant_is_refused_in_words(number: int) -> None:
    source, options, kind, said = refusals()[number]
    network = classifier()
    with pytest.raises(kind) as refused:
        fit(network, source, **{"epochs": 1, **options})
    assert said in str(refused.value)
    assert isinstance(refused.value, (ChainruleError, TypeError))


def test_resume_of_an_iterator_is_refused() -> None:
    network = classifier()
    history = fit(network, CUT, epochs=1)
    with pytest.raises(ArgumentError, match="an iterator cannot be put there"):
        fit(network, iter(CUT), epochs=1, resume=history)


def test_uint8_images_stay_pixels_from_batch_to_batch() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 5, 5, 1)).astype(np.uint8)
    labels = np.arange(24) % 3
    layers = [L.Conv2D(3, 3), L.ReLU(), L.Flatten(), L.Dense(3), L.Softmax()]
    one, other = (Network(layers, input_shape=(5, 5, 1), seed=2) for _ in range(2))
    fit(one, pixels, labels, batch_size=8, shuffle=False, epochs=2)
    fit(other, [(pixels[s : s + 8], labels[s : s + 8]) for s in (0, 8, 16)], epochs=2)
    assert same_bits(snapshot(one), snapshot(other))
    mixed = [(pixels[:8], labels[:8]), (pixels[8:16] / 255.0, labels[8:16])]
    with pytest.raises(DataError, match=r"batch 2 of epoch 1: .*255"):
        fit(one.copy(), mixed, epochs=1)
    dark = [(pixels[:8], labels[:8]), (pixels[8:16] // 200, labels[8:16])]
    fit(other, dark, epochs=1)


@pytest.mark.parametrize("progress", [True, "tqdm"])
@pytest.mark.parametrize("source", [of_epoch, CUT, lambda: iter(CUT)])
def test_progress_without_a_known_length(source: Any, progress: Any, capsys: Any) -> None:
    fit(classifier(), source, epochs=3, progress=progress)
    shown = capsys.readouterr().err
    assert "epoch" in shown
    assert "3" in shown


def test_nonfinite_numbers_are_told_with_the_step() -> None:
    from chainrule.base.errors import NonFiniteError

    network = Network([L.Dense(7), L.ReLU(), L.Dense(2)], input_shape=4)
    y = X[:, :2].astype(np.float64)
    cut = [(X[s : s + SIZE], y[s : s + SIZE]) for s in range(0, len(X), SIZE)]
    with pytest.raises(NonFiniteError, match=r"in epoch \d+, step \d+, ") as error:
        fit(network, lambda: iter(cut), epochs=50, optimizer=SGD(1e8))
    assert " of 0" not in str(error.value)
    assert all(np.isfinite(array).all() for array in network.parameters.values())
    with pytest.raises(NonFiniteError, match=r"step \d+ of 7"):
        fit(network.reinitialise(), cut, epochs=50, optimizer=SGD(1e8))
