"""Runs a piece of Python in a process of its own: what happens there must not end the test run."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

SECONDS = 60  # far more than any of them needs: a deadlock fails, a slow machine does not

PRELUDE = """
import numpy as np
import chainrule as cr
from chainrule import engine

def network(seed=1, dtype="float32"):
    layers = [cr.Dense(120), cr.ReLU(), cr.Dense(90), cr.Tanh(), cr.Dense(5), cr.Softmax()]
    return cr.Network(layers, input_shape=100, seed=seed, dtype=dtype)

def data(samples=200):
    r = np.random.default_rng(1)
    return r.standard_normal((samples, 100)).astype(np.float32), r.integers(0, 5, samples)

def train(seed=1, epochs=2, **options):
    net = network(seed)
    cr.fit(net, *data(), epochs=epochs, progress=False, **options)
    return {name: array.tobytes() for name, array in net.parameters.items()}
"""


def run(code: str, *, prelude: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """The finished process; variables of `environment` are set, those given as "" are unset."""
    variables = {**os.environ, "PYTHONWARNINGS": "default", **environment}
    variables = {name: value for name, value in variables.items() if value or name not in environment}
    return subprocess.run(
        [sys.executable, "-c", (PRELUDE if prelude else "") + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=variables,
        check=False,
    )


def output(code: str, **environment: str) -> str:
    """What it printed; it must end well."""
    done = run(code, **environment)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()
