"""A small translator, English to German: an encoder, a decoder that reads it, and one word after the other.

The sentences are made here, by a grammar of either language. German has what makes translation more than a
table of words: three genders, an article and an adjective by gender and case, a participle at the end of the
sentence, and a verb in front of a question.

python examples/translation.py
"""

from __future__ import annotations

import itertools

import numpy as np

import chainrule as cr

NOUNS = {
    "man": "Mann m",
    "dog": "Hund m",
    "cat": "Katze f",
    "woman": "Frau f",
    "child": "Kind n",
    "horse": "Pferd n",
}
ADJECTIVES = {"small": "klein", "big": "groß", "good": "gut", "young": "jung"}
VERBS = {
    "sees": "sieht gesehen see seen",
    "finds": "findet gefunden find found",
    "hears": "hört gehört hear heard",
}
ARTICLES = {  # by gender in the nominative and the accusative, each with the ending of an adjective
    "the": {"m": ("der -e", "den -en"), "f": ("die -e", "die -e"), "n": ("das -e", "das -e")},
    "a": {"m": ("ein -er", "einen -en"), "f": ("eine -e", "eine -e"), "n": ("ein -es", "ein -es")},
}
PADDING, START, END = 0, 1, 2
IGNORED = -100
HOLD_OUT = 300

Sentence = list[str]


def phrase(article: str, adjective: str, noun: str, case: int) -> tuple[Sentence, Sentence]:
    """(English, German); case: 0 who acts, 1 on whom."""
    word, gender = NOUNS[noun].split()
    german, ending = ARTICLES[article][gender][case].split(" -")
    middle = [ADJECTIVES[adjective] + ending] if adjective else []
    return [article, *filter(None, [adjective]), noun], [german, *middle, word]


def sentences() -> list[tuple[Sentence, Sentence]]:
    """Every sentence of the grammar in both languages: told, asked, and of the past."""
    phrases = list(itertools.product(ARTICLES, ["", *ADJECTIVES], NOUNS))
    made = []
    for first, second, (verb, forms) in itertools.product(phrases, phrases, VERBS.items()):
        (who, wer), (whom, wen) = phrase(*first, 0), phrase(*second, 1)
        told, done, see, seen = forms.split()
        made.append(([*who, verb, *whom], [*wer, told, *wen]))
        made.append((["does", *who, see, *whom, "?"], [told, *wer, *wen, "?"]))
        made.append(([*who, "has", seen, *whom], [*wer, "hat", *wen, done]))
    return made


def as_ids(texts: list[Sentence], ids: dict[str, int], width: int) -> np.ndarray:
    """(N, width), the padding behind every sentence."""
    X = np.full((len(texts), width), PADDING)
    for row, words in zip(X, texts, strict=True):
        row[: len(words)] = [ids[word] for word in words]
    return X


def numbered(texts: list[Sentence]) -> dict[str, int]:
    """An id for every word, behind those of what is no word."""
    return {word: number for number, word in enumerate(sorted(set(itertools.chain(*texts))), END + 1)}


def translator(words: tuple[int, int], widths: tuple[int, int], features: int = 32) -> cr.Graph:
    """The encoder's steps are what the decoder's attention reads; padding on either side is seen by none."""
    return cr.Graph(
        {
            "english": (
                [cr.Embedding(words[0], features, padding=PADDING), cr.PositionalEncoding()],
                "source",
            ),
            "encoder": [
                cr.Residual([cr.MultiHeadAttention(4)]),
                cr.LayerNorm(),
                cr.Residual([cr.Dense(2 * features), cr.ReLU(), cr.Dense(features)]),
                cr.LayerNorm(),
            ],
            "german": (
                [cr.Embedding(words[1], features, padding=PADDING), cr.PositionalEncoding()],
                "target",
            ),
            "decoder": (cr.TransformerDecoder(4, 2 * features), "german", "encoder"),
            "next": ([cr.Dense(words[1]), cr.Softmax()], "decoder"),
        },
        inputs={"source": widths[0], "target": widths[1]},
        seed=0,
    )


def translated(network: cr.Graph, source: np.ndarray, width: int) -> np.ndarray:
    """Greedily, (N, width): every word is the likeliest behind those in front of it, until the end."""
    target, made = np.full((2, len(source), width), PADDING)
    target[:, 0] = START
    for step in range(width):
        likeliest = network.predict({"source": source, "target": target})[:, step].argmax(axis=-1)
        made[:, step] = np.where(target[:, step] == PADDING, PADDING, likeliest)
        if step + 1 < width:
            target[:, step + 1] = np.where(likeliest == END, PADDING, made[:, step])
    return made


def main(examples: int = 3000, epochs: int = 8) -> float:
    every = sentences()
    order = np.random.default_rng(0).permutation(len(every))[: examples + HOLD_OUT]
    english, german = (list(texts) for texts in zip(*(every[n] for n in order), strict=True))
    ids = numbered([text for text, _ in every]), numbered([text for _, text in every])
    widths = max(map(len, english)), max(map(len, german)) + 1
    source, y = as_ids(english, ids[0], widths[0]), as_ids(german, ids[1], widths[1])
    y[np.arange(len(y)), [len(words) for words in german]] = END
    target = np.concatenate(
        [np.full((len(y), 1), START), y[:, :-1]], axis=1
    )  # what stands in front of every word
    target[target == END] = PADDING
    network = translator((len(ids[0]) + END + 1, len(ids[1]) + END + 1), widths)
    print(f"{len(every):,} sentences, {examples:,} to learn from; {network.count_parameters():,} parameters")
    history = cr.fit(
        network,
        {"source": source[HOLD_OUT:], "target": target[HOLD_OUT:]},
        np.where(y == PADDING, IGNORED, y)[HOLD_OUT:],
        loss=cr.CrossEntropy(ignore_index=IGNORED, mean_steps=True),
        optimizer=cr.Adam(0.003),
        batch_size=32,
        epochs=epochs,
        progress=False,
    )
    print("loss by epoch:", *(f"{loss:.3f}" for loss in history.loss))
    found = translated(network, source[:HOLD_OUT], widths[1])
    right = (found == y[:HOLD_OUT]).all(axis=1)
    words = {number: word for word, number in ids[1].items()}
    for text, row in zip(english[:5], found, strict=False):
        print(f"  {' '.join(text)}  →  {' '.join(words.get(n, '·') for n in row if n not in (PADDING, END))}")
    print(f"of {HOLD_OUT} new sentences {right.mean():.0%} are right, word for word")
    return float(right.mean())


if __name__ == "__main__":
    main()
