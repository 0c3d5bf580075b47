"""Whether a training step of our RealMLP is that of pytabkit, from the same parameters, in float64.

    python -m benchmarks.realmlp.same_step

needs an environment of its own with `pytabkit` (1.8.0), torch and pandas. Both prepare one table with
numbers, two, four and fourteen levels, and a gap; pytabkit's parameters are copied into our network; then
the prepared table, outputs, loss, gradients, and parameters after steps of the optimizer are compared.
Dropout is 0 on both sides.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

warnings.filterwarnings("ignore")
ROWS = 400


def table(rng: np.random.Generator) -> Any:
    import pandas as pd

    return pd.DataFrame(
        {
            "a": rng.normal(size=ROWS),
            "b": rng.exponential(size=ROWS),
            "few": rng.integers(0, 3, ROWS).astype(float),
            "s": rng.choice(["x", "y"], ROWS),
            "t": rng.choice([*"abcd"], ROWS),
            "u": rng.choice([f"l{i:02}" for i in range(14)], ROWS),
        }
    )


def parameters(theirs: Any, ours: Any) -> dict[str, np.ndarray]:
    """pytabkit's parameters by the names of ours; `ours`: the network."""
    found = {name: p.detach().numpy()[0].astype(np.float64) for name, p in theirs.named_parameters()}
    by_end = {}
    for name, value in found.items():
        by_end.setdefault(name.rsplit(".", 1)[-1], []).append(value)
    n, hidden, made = (by_end["weight_2"][0].shape[0], *by_end["weight_2"][0].shape[1:])
    waves = n * made
    count = by_end["scale"][0].shape[-1]
    # Theirs: waves, numbers, levels, ids; ours: numbers, waves, levels, ids.
    order = [*range(waves, waves + n), *range(waves), *range(waves + n, count)]
    dense = [value for value in by_end["weight"] if value.shape[0] > 1]
    alphas = [value for value in by_end["weight"] if value.shape[0] == 1]
    dense[0] = dense[0][order]
    copied = {
        "scale1.s": by_end["scale"][0].ravel()[order],
        "parallel1.periodic1.W": by_end["weight_1"][0].reshape(n * hidden, 1),
        "parallel1.periodic1.b": by_end["bias_1"][0].ravel(),
        "parallel1.periodic1.V": by_end["weight_2"][0].transpose(0, 2, 1).reshape(waves, hidden),
        "parallel1.periodic1.c": by_end["bias_2"][0].ravel(),
        "parallel1.embedding1.E": by_end["emb"][0],
    }
    for place, (W, b) in enumerate(zip(dense, by_end["bias"], strict=True), 1):
        copied |= {f"dense{place}.W": W.T, f"dense{place}.b": b.ravel()}
    copied |= {f"parametric{place}.alpha": alpha.ravel() for place, alpha in enumerate(alphas, 1)}
    assert copied.keys() == ours.parameter_specs.keys(), copied.keys() ^ ours.parameter_specs.keys()
    return {name: copied[name] for name in ours.parameter_specs}


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference by the largest number."""
    return float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-300))


def compare(classify: bool) -> dict[str, float]:
    """Relative differences, by what was compared."""
    import torch
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor
    from pytabkit.models.training.metrics import cross_entropy, mse

    import chainrule as cr
    from chainrule.training.tabular import RATES, WEIGHT_DECAY, Tabular, factors

    rng = np.random.default_rng(1)
    X = table(rng)
    score = X["a"] + (X["s"] == "x") + 0.3 * rng.normal(size=ROWS)
    y = np.asarray((score > 0.5).astype(int) + (X["b"] > 1.2)) if classify else np.asarray(score)
    held = np.arange(0, ROWS, 5)
    train = np.setdiff1d(np.arange(ROWS), held)
    made = RealMLP_TD_Classifier if classify else RealMLP_TD_Regressor
    peer = made(n_epochs=1, random_state=0, device="cpu", n_threads=1, p_drop=0.0)
    peer.fit(X, y, val_idxs=held)
    module = peer.alg_interface_.model
    model = module.model.double()
    prepared = module.creator.static_model.forward_ds(peer.x_converter_.transform(X))
    batch = {name: value[None, train] for name, value in prepared.tensors.items()}
    batch = {name: v.double() if torch.is_floating_point(v) else v for name, v in batch.items()}

    tabular = Tabular(classify)
    preparation = cr.Preparation.learn(X.iloc[train], None if classify else y[train], robust=True)
    columns = preparation.inputs
    outputs = 3 if classify else 1
    layers = [layer for layer in tabular.layers(columns, outputs) if not isinstance(layer, cr.Dropout)]
    ours = cr.Network(layers, input_shape=preparation.width, dtype="float64", preparation=preparation)
    ours.set_parameters(parameters(model, ours))
    rows = preparation(X.iloc[train])

    targets = torch.as_tensor(y[train])[None, :, None]
    model.train()
    smoothed = targets if classify else targets.double()
    result = model({**batch, "y": smoothed})
    loss = (cross_entropy if classify else mse)(result["x_cont"], result["y"]).sum()
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    copies: dict[str, torch.Tensor] = {}
    for name, p in model.named_parameters():
        copies[name] = p.detach().clone()
        p.data = gradients[name]
    theirs = parameters(model, ours)  # of the gradients, by our names
    for name, p in model.named_parameters():
        p.data = copies[name]

    step = ours.backpropagate(rows, y[train], loss=tabular.loss)
    factor = 1.0 if classify else 2.0  # ours is half the squared error
    found = {"loss": abs(factor * step.loss - float(loss)) / float(loss)}
    z = ours.activations(rows, "dense4")
    found["outputs"] = difference(z, result["x_cont"].detach().numpy()[0])
    for name, gradient in step.gradients.items():
        found[f"∂J/∂{name}"] = difference(factor * gradient, theirs[name])
    found |= updates(
        module, model, gradients, ours, step.gradients, factor, tabular, factors, RATES, WEIGHT_DECAY
    )
    return found


def updates(module, model, gradients, ours, own, factor, tabular, factors, rates, decay) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """The parameters after three steps of the optimizers with these gradients, at the rates of the middle."""
    import chainrule as cr

    optimizer = module.configure_optimizers()
    module.progress.epoch_float = 0.3 * module.progress.max_epochs
    module.hp_manager.update_hypers(module)
    t = 0.3
    rate = rates[tabular.activation] * 0.5 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t)))
    rate_factors, decay_factors = factors(ours)
    rule = cr.AdamW(1.0, beta2=0.95, weight_decay=decay)
    theta = {name: value.copy() for name, value in ours.parameters.items()}
    state = {name: {slot: np.zeros_like(value) for slot in rule.slots} for name, value in theta.items()}
    for number in range(1, 4):
        for name, p in model.named_parameters():
            p.grad = gradients[name] * number
        optimizer.step()
        for name in theta:
            spec = ours.parameter_specs[name]
            theta[name] = rule.update(
                theta[name],
                factor * own[name] * number,
                state[name],
                rate * rate_factors.get(name, 1.0),
                number,
                decay=decay * decay_factors.get(name, float(spec.penalised)),
            )
    after = parameters(model, ours)
    return {f"{name} after 3 steps": difference(theta[name], after[name]) for name in theta}


def main() -> None:
    for classify in (True, False):
        print("classes" if classify else "a quantity")
        for what, value in compare(classify).items():
            print(f"  {what:36} {value:.1e}")


if __name__ == "__main__":
    main()
