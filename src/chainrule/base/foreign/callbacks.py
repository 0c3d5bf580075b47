"""Callbacks' methods and fields of file names as Keras, Lightning, fastai and skorch call them."""

from __future__ import annotations

from chainrule.base.foreign.words import by_name

_BEFORE_EPOCH = (
    "no call before an epoch: on_epoch_end(self, context) of the one before it, and for the first "
    "on_fit_begin(self, context)"
)
_BEFORE_STEP = "no call before a step: on_step_end(self, context) is behind every one"

# Methods that are never called here, and those that are.
HOOKS = by_name(
    {
        "on_fit_begin(self, context)": (
            *("on_train_begin", "on_fit_start", "on_train_start", "before_fit", "before_train", "setup"),
        ),
        "on_fit_end(self, context)": ("on_train_end", "after_fit", "after_train", "teardown"),
        "on_step_end(self, context)": (
            *(
                "on_batch_end",
                "on_train_batch_end",
                "after_batch",
                "after_step",
                "on_step",
                "on_train_step_end",
            ),
            *("on_optimizer_step", "on_before_zero_grad"),
        ),
        "on_epoch_end(self, context), which is behind the validation": (
            *("after_epoch", "on_train_epoch_end", "on_validation_epoch_end", "on_validation_end"),
            *("on_test_end", "on_evaluate", "after_validate", "on_fit_epoch_end"),
        ),
        _BEFORE_EPOCH: (
            *("on_epoch_begin", "on_epoch_start", "before_epoch", "on_train_epoch_start", "begin_epoch"),
            *("on_test_begin", "on_validation_start", "before_validate"),
        ),
        _BEFORE_STEP: (
            *("on_batch_begin", "on_train_batch_begin", "on_train_batch_start", "before_batch"),
            *("on_step_begin", "begin_batch", "on_before_optimizer_step", "before_step"),
        ),
        "no call at a gradient: network.backpropagate(X, y) shows those of any batch": (
            *(
                "on_grad_computed",
                "on_after_backward",
                "after_backward",
                "on_before_backward",
                "before_backward",
            ),
        ),
        "no call in predictions: network.predict(X) calls nothing": (
            *("on_predict_begin", "on_predict_end", "on_predict_batch_begin", "on_predict_batch_end"),
        ),
        "no call in a batch of the validation: on_epoch_end(self, context) is behind all of it": (
            *("on_test_batch_begin", "on_test_batch_end", "on_validation_batch_start"),
            *("on_validation_batch_end",),
        ),
        "nothing: context.network is the network": ("set_model",),
    }
)

# Fields of a checkpoint's name.
CHECKPOINT_FIELDS = by_name(
    {
        "validation_loss": ("val_loss", "valid_loss"),
        "validation_accuracy": ("val_acc", "val_accuracy", "valid_acc", "val_categorical_accuracy"),
        "accuracy": ("acc", "train_acc", "categorical_accuracy"),
        "loss": ("train_loss", "training_loss"),
        "epoch": ("epochs", "ep", "step", "batch", "global_step"),
    }
)
