"""Labels, columns, names and paths that would command a terminal or a page: every command, every form."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule.cli
from chainrule import Dense, Network, Softmax, explain
from chainrule.explaining.report import Report
from tests.cli.cli_result import Result, Run

NASTY = [
    "\x1b[31mred", "\x9b31m", "a\rb", "a\bb", "abc\u202ecba", "zero\u200bwidth", "<script>alert(1)</script>",
    "``<img src=x onerror=alert(1)>`", "`<b>`", "a|b", "$x$", "\\input{x}", "&amp;", "]]>", "-->", "*_~#[]()",
    "[x](javascript:alert(1))", "% }\\end{document}", "x" * 100_000, "δ 中文", "' \" =cmd()",
]  # fmt: skip
SURROGATE = "a\ud800b"
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def fit_for_a_person(result: Result) -> None:
    """No raw control character in what was printed, and no traceback."""
    assert result.code in (0, 1, 2), result.err[-500:]
    for text in (result.out, result.err):
        assert not RAW.search(text), RAW.search(text)
        assert "Traceback" not in text


def train(run: Run, path: Path, target: str, out: str) -> Result:
    argv = (
        "train",
        path,
        "--target",
        target,
        "--epochs",
        1,
        "--quiet",
        "--no-check",
        "--no-report",
        "--out",
        out,
    )
    return run(*argv)


def table(path: Path, columns: list[str], labels: list[str]) -> None:
    import csv

    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*columns, "kind"])
        for number in range(30):
            writer.writerow(
                [*(f"{value:.3f}" for value in rng.normal(size=len(columns))), labels[number % 2]]
            )


@pytest.mark.parametrize("nasty", NASTY, ids=lambda text: ascii(text[:12]))
def test_labels_columns_and_files(run: Run, tmp_path: Path, nasty: str) -> None:
    """Through train and predict: the labels and the columns of a table; the names of files and folders."""
    name = re.sub(r"[/\0]", "_", nasty)[:60]
    path = tmp_path / f"{name}.csv"
    table(path, [nasty, "b"], [nasty, "plain"])
    trained = train(run, path, "kind", name)
    fit_for_a_person(trained)
    if trained.code:  # such as a CSV reader's limit of a field: a line
        assert trained.err.count("\n") == 1
        return
    result = run("predict", name, path)
    fit_for_a_person(result)
    fit_for_a_person(run("predict", name, path, "-o", "out.csv"))
    import csv

    with open("out.csv", encoding="utf-8", newline="") as file:
        assert {row[0] for row in list(csv.reader(file))[1:]} <= {
            nasty,
            "plain",
        }  # a file keeps them as they are
    fit_for_a_person(run("predict", name, f"{name}.npy"))
    fit_for_a_person(run("train", path, "--target", "none"))
    fit_for_a_person(run("train", path))


@pytest.mark.parametrize(
    "argv",
    [
        ("train", "{}"), ("train", "digits", "--epochs", "{}"), ("train", "digits", "--seed", "{}"),
        ("train", "digits", "--network", "{}"), ("train", "digits", "--network", "{}.toml"),
        ("train", "{}.csv"), ("train", "digits", "--recipe", "{}"), ("train", "digits", "--rate", "{}"),
        ("train", "mnist", "--data", "{}", "--no-download"), ("train", "mnist", "--data", "n", "--url", "{}"),
        ("predict", "{}", "x.csv"), ("check", "{}"), ("explain", "{}"), ("doctor", "{}"), ("{}",),
        ("explain", "run", "-o", "{}"), ("train", "digits", "--test", "{}"), ("oracles", "--ex4", "{}"),
    ],
    ids=lambda argv: " ".join(argv),
)  # fmt: skip
def test_arguments(run: Run, argv: tuple[str, ...]) -> None:
    for nasty in (*NASTY[::3], SURROGATE, "\udcff", "9" * 5000, "x" * 100_000):
        result = run(*(part.replace("{}", nasty) for part in argv))
        fit_for_a_person(result)
        assert result.code == 2
        assert result.err.startswith("chainrule")
        assert len(result.err.splitlines()[-1]) <= 2100


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    net = Network([Dense(2), Softmax()], input_shape=(2,), seed=0)
    return explain(net, np.eye(2), [0, 1], check=False, language="en").document


def test_reports_in_every_form(document: dict[str, Any]) -> None:
    """The name of a network and a label reach every form of a report, and command none."""
    for nasty in (*NASTY, SURROGATE, "two\nlines\n# heading"):
        meta = {**document["meta"], "title": nasty[:200], "label": nasty[:200]}
        report = Report({**document, "meta": meta})
        texts = [str(report), report.markdown(), report.latex()]
        if nasty in NASTY[:1] + NASTY[6:8]:  # a page takes the longest
            texts.append(report.html())
        for text in texts:
            assert not RAW.search(text), (nasty[:20], RAW.search(text))
        for text in (texts[1], texts[-1]):
            assert "<script>alert" not in text
            assert "<img src=x" not in text
        assert "<b>" not in texts[1]
        latex = texts[2].replace(r"\begin{document}", "").replace(r"\end{document}", "")
        assert "{document}" not in latex
        assert r"\input{" not in latex


def test_a_report_of_a_network_with_such_a_name_is_stored_and_read(tmp_path: Path) -> None:
    for name in ("x" * 100_000, f"{SURROGATE}\n\x1b[2J"):
        net = Network([Dense(2), Softmax()], input_shape=(2,), seed=0, name=name)
        report = explain(net, np.eye(2), np.array([name, "plain"]), check=False, language="en")
        report.json(tmp_path / "report.json")
        assert Report.from_json(tmp_path / "report.json").document == report.document
        for key in ("title", "label"):
            text = report.document["meta"][key]
            assert len(text) <= 160
            assert text.isprintable()


def test_a_received_document_is_shown_with_its_escapes(document: dict[str, Any], tmp_path: Path) -> None:
    received = json.loads(json.dumps(document))
    received["meta"]["title"] = received["meta"]["label"] = "\x1b]0;title\x07\u202e\ud800"
    received["cards"][0]["title"] = "\x1b[2J"
    report = Report(received)
    for text in (str(report), report.markdown(), report.latex(), report.html(tmp_path / "r.html")):
        assert not RAW.search(text)
    report.json(tmp_path / "r.json")
    assert Report.from_json(tmp_path / "r.json").document == received


def test_names_within_a_network_file(run: Run, tmp_path: Path) -> None:
    for nasty in (*NASTY[::2], "two\nlines"):
        quoted = json.dumps(nasty)
        for text in (
            f"layers = [{quoted}]", f"layers = [{{type = {quoted}}}]", f"{quoted} = 1",
            f'layers = [{{type = "Dense", {quoted} = 3}}]', f'layers = ["Softmax"]\ninput_shape = {quoted}',
            f'layers = [{{type = "Dense", units = {quoted}}}]\ninput_shape = 4',
            f'layers = [{{type = "Dense", units = 3, initializer = {quoted}}}]\ninput_shape = 4',
        ):  # fmt: skip
            (tmp_path / "net.toml").write_text(text, encoding="utf-8")
            result = run("check", "net.toml")
            fit_for_a_person(result)
            assert result.code == 2
            assert result.err.count("\n") == 1


def test_the_commands_print_through_one_door() -> None:
    folder = Path(chainrule.cli.__file__).parent
    calls = [
        path.name
        for path in sorted(folder.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    # Of a signal that comes while what prints is loaded, the front door tells by itself.
    assert sorted(calls) == ["__init__.py", *["output.py"] * (len(calls) - 1)]


def test_an_interrupt_without_words_is_called_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(argv: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("chainrule.cli.running.run", interrupted)
    assert chainrule.cli.main(["info"]) == 130
    assert capsys.readouterr().err == "chainrule: interrupted\n"
