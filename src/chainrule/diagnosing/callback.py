"""The doctor during `fit`: a diagnosis after every epoch, on the same samples; what is new is printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.base.errors import DataError
from chainrule.base.keywords import teach
from chainrule.base.scalars import check_choice, check_count, check_flag
from chainrule.base.types import Array
from chainrule.data.arrays import plain_array
from chainrule.data.door import one_column
from chainrule.data.frames import Frame, frame_of
from chainrule.diagnosing.doctor import LANGUAGES, Diagnosis, diagnose, finding_lines, thresholds_from
from chainrule.diagnosing.flow import SAMPLES
from chainrule.training.callbacks import Callback, Context

if TYPE_CHECKING:
    from chainrule.losses.penalties import Penalty


class Doctor(Callback):
    """`fit(network, X, y, callbacks=[Doctor(X, y)])`: diagnoses after every `every`-th epoch.

    X, y: what is trained on, or a part of it; at most `samples` of them are looked at, always the same ones.
    penalty, batch_size: as `fit` was given them; loss and optimizer it sees by itself.
    stop: end training at the first bad finding.  say: called with every line to print, once per finding, when
    it first appears; None keeps silent.  thresholds: as of `diagnose`.
    `diagnoses`: epoch -> Diagnosis.
    """

    options: dict[str, Any]  # of `diagnose`
    diagnoses: dict[int, Diagnosis]

    @teach("Doctor(X, y), and the others by name")
    def __init__(
        self,
        X: Any,
        y: Any,
        *,
        every: int = 1,
        penalty: Penalty | None = None,
        batch_size: int = 32,
        samples: int = SAMPLES,
        stop: bool = False,
        thresholds: Mapping[str, Mapping[str, float]] | None = None,
        say: Callable[[str], Any] | None = print,
        language: str = "en",
    ) -> None:
        self.every = check_count("every", every)
        thresholds_from(thresholds)  # a wrong name is refused before the training, not after its first epoch
        self.X = _by_name(X, "X") or frame_of(X, "X") or plain_array(X, "X")
        self.y = _by_name(y, "y") or plain_array(one_column(y), "y")
        if not all(isinstance(held, (Frame, dict)) or held.ndim for held in (self.X, self.y)):
            raise DataError("Doctor(X, y) takes what is trained on: X and y with a sample in every row")
        self.options = {
            "penalty": penalty,
            "batch_size": check_count("batch_size", batch_size),
            "samples": check_count("samples", samples),
            "thresholds": thresholds,
        }
        self.stop, self.say = check_flag("stop", stop), say
        self.only_watches = not stop
        self.language = check_choice("language", language, LANGUAGES)
        self.diagnoses = {}
        self._known: set[tuple[str, str]] = set()
        self._texts: dict[int, str] = {}  # the diagnoses as checkpoints hold them

    def on_fit_begin(self, context: Context) -> None:
        self.diagnoses, self._known, self._texts = {}, set(), {}

    def on_checkpoint(self, context: Context) -> dict[str, Any]:
        # A text each, made once: 28 KB of 22 layers, and all of them are in every checkpoint.
        for epoch in self.diagnoses.keys() - self._texts.keys():
            diagnosis = self.diagnoses[epoch]
            self._texts[epoch] = json.dumps([diagnosis.flow, diagnosis.findings])
        return {"diagnoses": self._texts, "known": sorted(self._known)}

    def on_resume(self, context: Context, state: dict[str, Any]) -> None:
        self._texts, self._known = state["diagnoses"], {*state["known"]}
        for epoch, text in self._texts.items():
            flow, findings = json.loads(text)
            self.diagnoses[epoch] = Diagnosis(flow, tuple(findings))

    def on_epoch_end(self, context: Context) -> None:
        if context.epoch % self.every:
            return
        history = context.history
        diagnosis = diagnose(
            context.network,
            self.X,
            self.y,
            loss=history.loss_function,
            history=history,
            training_size=len(next(iter(self.X.values())) if isinstance(self.X, dict) else self.X),
            **self.options,
        )
        self.diagnoses[context.epoch] = diagnosis
        for finding in diagnosis.findings:
            place = (finding["rule"], finding["layer"])
            if place in self._known or self.say is None:
                continue
            self._known.add(place)
            first, *others = finding_lines(finding, self.language)
            self.say("\n".join([f"epoch {context.epoch}: {first}", *others]))
        if self.stop and not diagnosis:
            worst = diagnosis.findings[0]
            context.stop(f"the doctor: {worst['what']['en'].replace('`', '')}")


def _by_name(given: Any, argument: str) -> dict[str, Array] | None:
    """Several inputs or outputs by name; None for a table, whose columns have one value a row."""
    if not isinstance(given, Mapping) or (argument == "X" and all(np.ndim(v) < 2 for v in given.values())):
        return None
    return {name: plain_array(values, f"{argument}[{name!r}]") for name, values in given.items()}
