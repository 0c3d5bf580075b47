"""Attention by loops, under masks, and in print."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ShapeError
from chainrule.formulas import call_formula, trace

STEPS, FEATURES, SAMPLES = 5, 6, 4


def numbers(layer: cr.Layer, mask: Any = None) -> dict[str, Any]:
    """x, d, the mask and the parameters of a layer, samples last."""
    r = np.random.default_rng(4)
    given = {
        name: 0.25 * r.standard_normal(s.shape) for name, s in layer.parameters((STEPS, FEATURES)).items()
    }
    given |= {name: r.standard_normal((STEPS, FEATURES, SAMPLES)) for name in ("x", "d")}
    return given if mask is None else {**given, "mask": mask}


def by_loops(heads: int, causal: bool, p: dict[str, Any]) -> Any:
    """One sample, one head, one query at a time."""
    out, n = np.zeros((STEPS, FEATURES, SAMPLES)), FEATURES // heads
    for s in range(SAMPLES):
        x = p["x"][..., s]
        Q, K, V = x @ p["W_q"].T + p["b_q"], x @ p["W_k"].T, x @ p["W_v"].T + p["b_v"]
        O = np.zeros((STEPS, FEATURES))  # noqa: E741
        for h in range(heads):
            own = slice(h * n, (h + 1) * n)
            for i in range(STEPS):
                seen = [
                    k for k in range(STEPS) if (k <= i or not causal) and ("mask" not in p or p["mask"][k, s])
                ]
                weights = np.array([np.exp(Q[i, own] @ K[k, own] / np.sqrt(n)) for k in seen])
                for weight, k in zip(weights / weights.sum(), seen, strict=True):
                    O[i, own] += weight * V[k, own]
        out[..., s] = O @ p["W_o"].T + p["b_o"]
    return out


MASK = np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0]], float)


@pytest.mark.parametrize("mask", [None, MASK], ids=["all there", "mask"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("heads", [1, 2, 3])
def test_by_loops_and_by_finite_differences(heads: int, causal: bool, mask: Any) -> None:
    layer = cr.MultiHeadAttention(heads, causal=causal)
    given = numbers(layer, mask)
    np.testing.assert_allclose(call_formula(layer.forward, given), by_loops(heads, causal, given), atol=1e-13)
    derivatives = {"x": call_formula(layer.delta, given), **call_formula(layer.gradients, given)}
    direction_of = np.random.default_rng(5)
    for name, derivative in derivatives.items():
        direction = direction_of.standard_normal(derivative.shape)

        def objective(t: float, name: str = name, direction: Any = direction) -> float:
            moved = {**given, name: given[name] + t * direction}
            return float((call_formula(layer.forward, moved) * given["d"]).sum())

        h = 1e-3
        slope = (8 * (objective(h) - objective(-h)) - objective(2 * h) + objective(-2 * h)) / (12 * h)
        np.testing.assert_allclose((derivative * direction).sum(), slope, rtol=1e-9, atol=1e-9)


def test_who_sees_no_step_gets_nothing_but_the_bias() -> None:
    """Sample 4 has no step, and in sample 3 the first steps are there."""
    layer = cr.MultiHeadAttention(2, causal=True)
    given = numbers(layer, MASK[::-1].copy())
    out = call_formula(layer.forward, given)
    for step, sample in ((0, 3), (0, 2), (4, 3)):
        np.testing.assert_array_equal(out[step, :, sample], given["b_o"])
    assert not call_formula(layer.delta, given)[..., 3].any()


def test_keys_need_no_bias() -> None:
    """q · b is the same for all keys."""
    layer = cr.MultiHeadAttention(2)
    r = np.random.default_rng(2)
    S, same = r.standard_normal((2, 5, 5, 4)), r.standard_normal((2, 5, 1, 4))
    shifted, plain = (layer._softmax(scores, None)[0] for scores in (S + same, S))
    np.testing.assert_allclose(shifted, plain, rtol=1e-14)


def bucket(distance: int, buckets: int, farthest: int, both: bool) -> int:
    """Hugging Face's _relative_position_bucket of one distance, its logarithm of numbers of 32 bits."""
    first = 0
    if both:
        buckets //= 2
        first, distance = buckets * (distance > 0), abs(distance)
    else:
        distance = -min(distance, 0)
    exact = buckets // 2
    if distance < exact:
        return first + distance
    ratio = np.log(np.float32(distance) / np.float32(exact)) / np.float32(np.log(farthest / exact))
    return first + min(exact + int(np.float32(ratio) * np.float32(buckets - exact)), buckets - 1)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("buckets", "farthest"), [(32, 128), (8, 20), (5, 9), (64, 1000)])
def test_buckets_of_t5(buckets: int, farthest: int, causal: bool) -> None:
    layer = cr.MultiHeadAttention(
        2, causal=causal, relative_positions="t5", buckets=buckets, max_distance=farthest
    )
    found, _ = layer.of_pairs(40, 1300)
    expected = {d: bucket(d, buckets, farthest, not causal) for d in range(-39, 1300)}
    np.testing.assert_array_equal(found, [[expected[k - i] for k in range(1300)] for i in range(40)])


@pytest.mark.parametrize("heads", [1, 2, 3, 4, 6, 8, 12])
def test_slopes_of_alibi(heads: int) -> None:
    """As its authors' get_slopes computes them."""

    def of_power(n: int) -> list[float]:
        start = 2 ** (-(2 ** -(np.log2(n) - 3)))
        return [start * start**i for i in range(n)]

    power = 2 ** int(np.log2(heads))
    expected = of_power(power) + (of_power(2 * power)[0::2][: heads - power] if power < heads else [])
    at, numbers = cr.MultiHeadAttention(heads, relative_positions="alibi").of_pairs(2, 3)
    np.testing.assert_allclose(numbers[:, at[1, 0]], [-slope for slope in expected])
    np.testing.assert_allclose(numbers[:, at[0, 2]], [-2 * slope for slope in expected])


def test_distances_of_pixels() -> None:
    """Swin's relative_position_index of a window of 2 x 3."""
    rows, columns = np.divmod(np.arange(6), 3)
    expected = (rows[:, None] - rows + 1) * 5 + columns[:, None] - columns + 2
    layer = cr.MultiHeadAttention(1, relative_positions="learned", grid=(2, 3))
    np.testing.assert_array_equal(layer.of_pairs(6, 6)[0], expected)
    with pytest.raises(ShapeError, match=r"grid=\(2, 3\) has 6 pixels, and queries and keys are 5 and 5"):
        cr.Network([layer], input_shape=(5, 2))


def test_print() -> None:
    assert trace(cr.MultiHeadAttention(2)).lines() == [
        "zˡ = Wˡ_o O + b̂ˡ_o",
        "    with Q = heads(Wˡ_q xˡ⁻¹ + b̂ˡ_q)",
        "    with K = heads(Wˡ_k xˡ⁻¹)",
        "    with S = Q Kᵀ / √(H)",
        "    with E = exp(S − max_k S_k)",
        "    with A = E / (Σ_k E_k)",
        "    with V = heads(Wˡ_v xˡ⁻¹ + b̂ˡ_v)",
        "    with O = heads⁻¹(A V)",
        "∂J/∂xˡ⁻¹ = (Wˡ_q)ᵀ heads⁻¹(G K) + (Wˡ_k)ᵀ heads⁻¹(Gᵀ Q) + (Wˡ_v)ᵀ heads⁻¹(Aᵀ D)",
        "    with D = heads((Wˡ_o)ᵀ δˡ)",
        "    with B = D Vᵀ",
        "    with G = A ⊙ (B − Σ_k A_k B_k) / √(H)",
        "∂J/∂Wˡ_q = heads⁻¹(G K) (xˡ⁻¹)ᵀ",
        "∂J/∂Wˡ_k = heads⁻¹(Gᵀ Q) (xˡ⁻¹)ᵀ",
        "∂J/∂Wˡ_v = heads⁻¹(Aᵀ D) (xˡ⁻¹)ᵀ",
        "∂J/∂Wˡ_o = δˡ Oᵀ",
        "∂J/∂bˡ_q = heads⁻¹(G K) 𝟏",
        "∂J/∂bˡ_v = heads⁻¹(Aᵀ D) 𝟏",
        "∂J/∂bˡ_o = δˡ 𝟏",
    ]
    rows = trace(cr.MultiHeadAttention(2, key_value_bias=True, zero_key_value=True)).lines()
    assert rows[4:12] == [
        "    with R = max_k S_k",
        "    with K_0 = heads(k̂ˡ_0)",
        "    with S_0 = (Σ_k Q_k K_0_k) / √(H)",
        "    with R_0 = max(max(R, S_0), 0)",
        "    with E = exp(S − R_0)",
        "    with E_0 = exp(S_0 − R_0)",
        "    with N = Σ_k E_k + E_0 + exp(−R_0)",
        "    with A = E / N",
    ]
    assert "∂J/∂kˡ_0 = heads⁻¹(sum(G_0 ⊙ Q)) 𝟏" in rows
    slopes = trace(cr.MultiHeadAttention(2, relative_positions="alibi")).lines()
    assert "    with S = Q Kᵀ / √(H) − slope |k − i|" in slopes
    causal = trace(cr.MultiHeadAttention(2, causal=True, bias=False)).lines()
    assert causal[:2] == ["zˡ = Wˡ_o O", "    with Q = heads(Wˡ_q xˡ⁻¹)"]
    assert "    with M = [k ≤ i]" in causal


def test_arguments_teach() -> None:
    with pytest.raises(ShapeError, match="6 is no multiple of 4: write heads=3"):
        cr.Network([cr.MultiHeadAttention(4)], input_shape=(5, 6))
    with pytest.raises(ShapeError, match=r"put Embedding\(vocabulary, features\) before it"):
        cr.Network([cr.MultiHeadAttention(2)], input_shape=5)
    for wrong, advice in {
        "num_heads": "heads=4",
        "embed_dim": "finds out the features",
        "mask": "Masking",
    }.items():
        with pytest.raises(TypeError, match=advice):
            cr.MultiHeadAttention(2, **{wrong: 1})


@pytest.mark.parametrize("layer", [cr.MultiHeadAttention, lambda *a, **k: cr.TransformerDecoder(*a, 8, **k)])
@pytest.mark.parametrize("kind", [None, "alibi", "learned"])
def test_buckets_are_refused_where_nothing_reads_them(layer: Any, kind: str | None) -> None:
    received = f"received buckets=8 and relative_positions={kind!r}: leave buckets out"
    with pytest.raises(cr.ChainruleError, match=received):
        layer(2, relative_positions=kind, buckets=8)
    layer(2, relative_positions=kind, buckets=32)  # what it is by itself
    layer(2, relative_positions="t5", buckets=8)


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"relative_positions": "t5", "buckets": 8, "max_distance": 2}, "received 2: write max_distance=8"),
        ({"relative_positions": "t5", "buckets": 600}, "received 128: write max_distance=600"),
        ({"relative_positions": "learned", "grid": (2, 3), "max_distance": 4}, "received max_distance=4"),
    ],
)
def test_distances_that_do_not_fit_are_named(options: dict[str, Any], received: str) -> None:
    with pytest.raises(cr.ChainruleError, match=received):
        cr.MultiHeadAttention(2, **options)
