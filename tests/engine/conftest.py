"""What every test of the engine starts from."""

from __future__ import annotations

import pytest

from chainrule.engine.lowering import convolutions


@pytest.fixture(autouse=True)
def winograd_on_small_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' networks are small: let Winograd run wherever its kernels can, not only where it pays."""
    monkeypatch.setattr(convolutions, "WINOGRAD_TILES", 1)
    monkeypatch.setattr(convolutions, "WINOGRAD_GRADIENT_TILES", 1)
    monkeypatch.setattr(convolutions, "WINOGRAD_GRADIENT_CHANNELS", convolutions.WINOGRAD_CHANNELS)
