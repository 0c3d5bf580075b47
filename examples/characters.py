"""A character model: an LSTM learns the Zen of Python, letter by letter, and goes on from a beginning.

At every step it sees a character and predicts the next one. To go on from a beginning shorter than the
sequences it was trained on, the steps in front are padding, which the embedding masks.

python examples/characters.py
"""

from __future__ import annotations

import codecs
import contextlib
import io

import numpy as np

import chainrule as cr

STEPS = 32
PADDING = 0


def zen() -> str:
    """The text of `import this`, which comes with every Python."""
    with contextlib.redirect_stdout(io.StringIO()):
        import this
    return codecs.decode(this.s, "rot13")


def go_on(network: cr.Network, characters: str, beginning: str, length: int) -> str:
    """The beginning and the `length` characters that the network finds most likely, one after the other."""
    text = beginning
    for _ in range(length):
        ids = [characters.index(c) for c in text[-STEPS:]]
        window = np.array([[PADDING] * (STEPS - len(ids)) + ids])
        text += characters[int(network.predict(window)[0, -1].argmax())]
    return text


def main(epochs: int = 24) -> float:
    text = zen()
    characters = "\0" + "".join(sorted(set(text)))  # id 0 is the padding
    ids = np.array([characters.index(c) for c in text])
    starts = range(0, len(text) - STEPS, 3)
    X = np.stack([ids[s : s + STEPS] for s in starts])
    y = np.stack([ids[s + 1 : s + 1 + STEPS] for s in starts])
    network = cr.Network(
        [
            cr.Embedding(len(characters), 24, padding=PADDING),
            cr.LSTM(96, outputs="all"),
            cr.Dense(len(characters)),
            cr.Softmax(),
        ],
        input_shape=STEPS,
        seed=1,
    )
    history = cr.fit(
        network,
        X,
        y,
        optimizer=cr.Adam(0.01, clip_norm=STEPS),
        batch_size=32,
        epochs=epochs,
        progress=False,
    )
    losses = [loss / STEPS for loss in history.loss]  # of a character; the loss of a sequence is their sum
    for epoch in range(0, epochs, max(1, epochs // 6)):
        print(f"epoch {epoch + 1:3d}: {losses[epoch]:.2f} per character")
    print(
        f"epoch {epochs:3d}: {losses[-1]:.2f}, the text is a guess among {np.exp(losses[-1]):.1f} characters"
    )
    for beginning in ("Beautiful ", "Now is "):
        print(go_on(network, characters, beginning, 60))
    return losses[-1]


if __name__ == "__main__":
    main()
