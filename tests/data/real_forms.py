"""Well-known files in their own forms, with a few dozen rows made up: delimiters, headers, marks and quirks
are those of the files, the values are not.

Each: the text, the ending, and what must be understood: rows, columns, header, delimiter, decimal sign, kinds
by column, missing counts, and words of the reading.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

ROWS = 48


@dataclass(frozen=True)
class Form:
    text: str
    ending: str = "csv"
    rows: int = ROWS
    columns: int = 0
    header: bool = True
    delimiter: str = "comma"
    decimal: str = "."
    kinds: dict[str, str] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    said: tuple[str, ...] = ()  # in the reading's words
    encoding: str = "utf-8"


def lines(rows: Sequence[Sequence[object]], delimiter: str = ",", end: str = "\n", tail: str = "\n") -> str:
    return end.join(delimiter.join(map(str, row)) for row in rows) + tail


def made(
    seed: str, cells: Callable[[random.Random, int], list[object]], rows: int = ROWS
) -> list[list[object]]:
    rng = random.Random(seed)
    return [cells(rng, i) for i in range(rows)]


def adult() -> Form:
    def row(rng: random.Random, i: int) -> list[object]:
        job = "?" if i % 10 == 3 else rng.choice(["Private", "State-gov", "Self-emp-inc"])
        return [
            rng.randint(17, 90),
            job,
            rng.randint(12285, 400000),
            rng.choice(["Bachelors", "HS-grad", "11th"]),
            rng.randint(1, 16),
            rng.choice(["Never-married", "Divorced"]),
            rng.choice(["Sales", "Tech-support"]),
            rng.choice(["Husband", "Own-child"]),
            rng.choice(["White", "Black"]),
            rng.choice(["Male", "Female"]),
            rng.choice([0, 0, 2174]),
            0,
            rng.randint(1, 99),
            rng.choice(["United-States", "Cuba"]),
            rng.choice(["<=50K", ">50K"]),
        ]

    return Form(
        lines(made("adult", row), ", ", tail="\n\n"),
        "data",
        columns=15,
        header=False,
        kinds={"column 1": "number", "column 2": "text", "column 11": "number", "column 15": "text"},
        missing={"column 2": 5},
    )


def titanic() -> Form:
    def row(rng: random.Random, i: int) -> list[object]:
        age = "" if i % 6 == 2 else rng.choice([22, 38, "0.42", 35])
        return [
            i + 1,
            rng.randint(0, 1),
            rng.randint(1, 3),
            f'"Person {i}, Mr. ""Bill"" {i}"',
            rng.choice(["male", "female"]),
            age,
            rng.randint(0, 3),
            rng.randint(0, 2),
            rng.choice(["A/5 21171", "113803", f"PC {i}"]),
            rng.choice([7.25, 71.2833, 8.05]),
            "" if i % 4 else f"C{i}",
            "" if i == 20 else rng.choice("SCQ"),
        ]

    names = "PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Parch,Ticket,Fare,Cabin,Embarked"
    head = names.split(",")
    return Form(
        lines([head, *made("titanic", row)], end="\r\n", tail="\r\n"),
        columns=12,
        kinds={"Name": "text", "Age": "number", "Ticket": "text", "Cabin": "text", "Survived": "number"},
        missing={"Age": 8, "Cabin": 36, "Embarked": 1},
    )


def auto_mpg() -> Form:
    def row(rng: random.Random, i: int) -> str:
        power = "?     " if i % 16 == 5 else f"{rng.choice([130.0, 165.0, 95.0]):<6}"
        name = rng.choice(["chevrolet chevelle malibu", "amc rebel sst", "vw 1131 deluxe sedan"])
        start = f"{rng.choice([18.0, 15.0])}   8   {rng.choice([307.0, 97.0]):<10} {power}"
        return f'{start}     3504.      12.0   70  1\t"{name}"'

    rng = random.Random("auto")
    return Form(
        "\n".join(row(rng, i) for i in range(ROWS)) + "\n",
        "data",
        columns=9,
        header=False,
        delimiter="blanks",
        kinds={"column 1": "number", "column 4": "number", "column 9": "text"},
        missing={"column 4": 3},
    )


def air_quality() -> Form:
    head = ["Date", "Time", "CO(GT)", "PT08.S1(CO)", "C6H6(GT)", "T", "RH", "AH", "", ""]

    def row(rng: random.Random, i: int) -> list[object]:
        return [
            f"{10 + i // 24:02d}/03/2004",
            f"{i % 24:02d}.00.00",
            f"{rng.choice([2, 1]) + rng.randint(0, 9) / 10}".replace(".", ","),
            rng.randint(800, 1500),
            f"{rng.randint(20, 150) / 10}".replace(".", ","),
            "-200" if i == 4 else "13,6",
            f"{rng.randint(300, 700) / 10}".replace(".", ","),
            f"0,{rng.randint(6000, 9999)}",
            "",
            "",
        ]

    empty = [[""] * 10] * 6
    days = made("air", row)
    days[-1][0] = "13/03/2004"
    return Form(
        lines([head, *days, *empty], ";", end="\r\n", tail="\r\n"),
        columns=8,
        delimiter="semicolon",
        decimal=",",
        kinds={"Date": "date", "CO(GT)": "number", "T": "number", "AH": "number"},
        said=("6 rows without any value", "2 columns with neither name nor value"),
    )


def bank() -> Form:
    def row(rng: random.Random, i: int) -> list[object]:
        return [
            rng.randint(20, 80),
            '"management"' if i % 2 else '"admin."',
            '"married"',
            rng.choice(['"tertiary"', '"unknown"']),
            '"no"',
            rng.randint(-300, 9000),
            rng.choice(['"yes"', '"no"']),
            rng.choice(['"may"', '"jun"']),
            rng.randint(1, 900),
            -1,
            rng.choice(['"no"', '"no"', '"yes"']),
        ]

    head = [
        f'"{name}"'
        for name in (
            *("age", "job", "marital", "education", "default", "balance"),
            *("housing", "month", "duration", "pdays", "y"),
        )
    ]
    return Form(
        lines([head, *made("bank", row)], ";"),
        columns=11,
        delimiter="semicolon",
        kinds={"age": "number", "job": "text", "default": "truth", "balance": "number", "y": "truth"},
    )


def german() -> Form:
    def row(rng: random.Random, i: int) -> list[object]:
        codes = [
            rng.choice(["A11", "A12", "A14"]),
            rng.randint(4, 72),
            "A34",
            rng.choice(["A43", "A40"]),
            rng.randint(250, 9000),
        ]
        return [*codes, "A65", "A75", rng.randint(1, 4), "A93", "A101", rng.randint(1, 4), rng.randint(1, 2)]

    return Form(
        lines(made("german", row), " "),
        "data",
        columns=12,
        header=False,
        delimiter="blanks",
        kinds={"column 1": "text", "column 2": "number", "column 12": "number"},
    )


def mushroom() -> Form:
    def row(rng: random.Random, i: int) -> list[object]:
        root = "?" if i % 8 == 1 else rng.choice("ecb")
        return [
            rng.choice("ep"),
            rng.choice("xbs"),
            rng.choice("sy"),
            rng.choice("nyw"),
            rng.choice("tf"),
            rng.choice("paln"),
            "f",
            "c",
            rng.choice("nb"),
            root,
            rng.choice("dgu"),
        ]

    return Form(
        lines(made("mushroom", row)),
        "data",
        columns=11,
        header=False,
        kinds={"column 1": "text", "column 5": "truth", "column 7": "text", "column 10": "text"},
        missing={"column 10": 6},
    )


def car() -> Form:
    def row(rng: random.Random, i: int) -> list[object]:
        return [
            rng.choice(["vhigh", "low"]),
            rng.choice(["high", "med"]),
            rng.choice(["2", "3", "5more"]),
            rng.choice(["2", "4", "more"]),
            rng.choice(["small", "big"]),
            rng.choice(["low", "high"]),
            rng.choice(["unacc", "acc"]),
        ]

    return Form(
        lines(made("car", row)),
        "data",
        columns=7,
        header=False,
        kinds={"column 1": "text", "column 3": "text", "column 4": "text", "column 7": "text"},
    )


def penguins() -> Form:
    def row(rng: random.Random, i: int) -> list[object]:
        if i in (3, 30):
            return ["Adelie", "Torgersen", *["NA"] * 5, 2007]
        return [
            rng.choice(["Adelie", "Gentoo"]),
            rng.choice(["Biscoe", "Dream"]),
            rng.choice([39.1, 46.5]),
            18.7,
            rng.randint(170, 230),
            rng.randint(3000, 5000),
            "NA" if i == 8 else rng.choice(["male", "female"]),
            rng.choice([2007, 2008]),
        ]

    names = "species,island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year"
    head = names.split(",")
    return Form(
        lines([head, *made("penguins", row)]),
        columns=8,
        kinds={"species": "text", "bill_length_mm": "number", "sex": "text", "year": "number"},
        missing={"bill_length_mm": 2, "sex": 3},
        said=("'NA' counts as missing",),
    )


def penguins_of_r() -> Form:
    """As write.csv of R writes it, with its row names."""

    def row(rng: random.Random, i: int) -> list[object]:
        return [f'"{i + 1}"', rng.choice(['"Adelie"', '"Gentoo"']), rng.choice([39.1, "NA"]), 2007]

    return Form(
        lines([['""', '"species"', '"bill_length_mm"', '"year"'], *made("r", row)]),
        columns=3,
        kinds={"species": "text", "bill_length_mm": "number"},
        said=("numbers the rows and is left out",),
    )


def mtcars() -> Form:
    """As write.table of R writes it: the header has a cell less."""

    def row(rng: random.Random, i: int) -> list[object]:
        return [f'"Car {i}"', rng.choice([21, 22.8]), rng.choice([4, 6, 8]), rng.randint(0, 1)]

    return Form(
        lines([['"mpg"', '"cyl"', '"am"'], *made("mtcars", row)], " "),
        "txt",
        columns=4,
        delimiter="blanks",
        kinds={"column 1": "text", "mpg": "number", "am": "number"},
        said=("has a cell less",),
    )


def numbers_only(
    name: str, count: int, decimals: int, classes: Sequence[object], ending: str = "data", tail: str = "\n"
) -> Form:
    def row(rng: random.Random, i: int) -> list[object]:
        return [*(f"{rng.uniform(0, 9):.{decimals}f}" for _ in range(count)), rng.choice(list(classes))]

    kind = "number" if all(isinstance(c, int) for c in classes) else "text"
    return Form(
        lines(made(name, row), tail=tail),
        ending,
        columns=count + 1,
        header=False,
        kinds={"column 1": "number", f"column {count + 1}": kind},
    )


def abalone() -> Form:
    def row(rng: random.Random, i: int) -> list[object]:
        return [rng.choice("MFI"), *(round(rng.random(), 4) for _ in range(7)), rng.randint(3, 20)]

    return Form(
        lines(made("abalone", row)),
        "data",
        columns=9,
        header=False,
        kinds={"column 1": "text", "column 2": "number", "column 9": "number"},
    )


def wine_quality() -> Form:
    head = [f'"{name}"' for name in ("fixed acidity", "volatile acidity", "pH", "alcohol", "quality")]
    return Form(
        lines(
            [
                head,
                *made(
                    "wine",
                    lambda rng, i: [
                        7.4,
                        round(rng.random(), 2),
                        3.51,
                        rng.choice([9.4, 10]),
                        rng.randint(3, 8),
                    ],
                ),
            ],
            ";",
        ),
        columns=5,
        delimiter="semicolon",
        kinds={"fixed acidity": "number", "quality": "number"},
    )


def housing() -> Form:
    head = "longitude,latitude,housing_median_age,total_rooms,total_bedrooms,median_income,median_house_value"
    head += ",ocean_proximity"

    def row(rng: random.Random, i: int) -> list[object]:
        return [
            -122.23,
            37.88,
            f"{rng.randint(1, 52)}.0",
            "880.0",
            "" if i == 9 else "129.0",
            8.3252,
            "452600.0",
            rng.choice(["NEAR BAY", "<1H OCEAN", "INLAND"]),
        ]

    return Form(
        lines([head.split(","), *made("housing", row)]),
        columns=8,
        kinds={"total_bedrooms": "number", "ocean_proximity": "text"},
        missing={"total_bedrooms": 1},
    )


def wdbc() -> Form:
    return Form(
        lines(
            made(
                "wdbc",
                lambda rng, i: [
                    rng.randint(8000, 91813702),
                    rng.choice("MB"),
                    *(round(rng.uniform(0, 30), 4) for _ in range(8)),
                ],
            )
        ),
        "data",
        columns=10,
        header=False,
        kinds={"column 1": "number", "column 2": "text", "column 3": "number"},
    )


def with_marks(name: str, ending: str = "data", share: int = 7) -> Form:
    """hepatitis, breast-cancer-wisconsin, arrhythmia: numbers and '?'."""

    def row(rng: random.Random, i: int) -> list[object]:
        return [
            rng.randint(1, 2),
            rng.randint(20, 70),
            rng.choice([0.7, 1.2]),
            "?" if i % share == 1 else rng.randint(1, 2),
            "1",
        ]

    return Form(
        lines(made(name, row)),
        ending,
        columns=5,
        header=False,
        kinds={"column 1": "number", "column 4": "number"},
        missing={"column 4": len(range(1, ROWS, share))},
    )


def forest_fires() -> Form:
    def row(rng: random.Random, i: int) -> list[object]:
        return [
            rng.randint(1, 9),
            rng.randint(2, 9),
            rng.choice(["mar", "oct"]),
            rng.choice(["fri", "tue", "sun"]),
            86.2,
            26.2,
            51,
            6.7,
            0,
            "0.0",
        ]

    return Form(
        lines([["X", "Y", "month", "day", "FFMC", "DMC", "RH", "wind", "rain", "area"], *made("fires", row)]),
        columns=10,
        kinds={"X": "number", "month": "text", "area": "number"},
    )


def student() -> Form:
    def row(rng: random.Random, i: int) -> list[object]:
        return [
            rng.choice(['"GP"', '"MS"']),
            rng.choice(['"F"', '"M"']),
            rng.randint(15, 20),
            '"yes"' if i % 2 else '"no"',
            rng.randint(0, 5),
            f'"{rng.randint(0, 19)}"',
            f'"{rng.randint(0, 19)}"',
            rng.randint(0, 19),
        ]

    return Form(
        lines([["school", "sex", "age", "paid", "absences", "G1", "G2", "G3"], *made("student", row)], ";"),
        columns=8,
        delimiter="semicolon",
        kinds={"school": "text", "paid": "truth", "G1": "number", "G3": "number"},
    )


def ionosphere() -> Form:
    return Form(
        lines(
            made(
                "ion",
                lambda rng, i: [1, 0, *(f"{rng.uniform(-1, 1):.5f}" for _ in range(5)), rng.choice("gb")],
            )
        ),
        "data",
        columns=8,
        header=False,
        kinds={"column 2": "number", "column 8": "text"},
    )


def covtype() -> Form:
    return Form(
        lines(
            made(
                "cov",
                lambda rng, i: [
                    rng.randint(2000, 3500),
                    rng.randint(0, 360),
                    *(rng.randint(0, 1) for _ in range(20)),
                    rng.randint(1, 7),
                ],
            )
        ),
        "data.gz",
        columns=23,
        header=False,
        kinds={"column 1": "number", "column 23": "number"},
        said=("(gzip)",),
    )


def glass() -> Form:
    return Form(
        lines(
            made(
                "glass", lambda rng, i: [i + 1, 1.52101, 13.64, round(rng.random(), 2), rng.choice([1, 2, 7])]
            )
        ),
        "data",
        columns=5,
        header=False,
        kinds={"column 1": "number", "column 5": "number"},
    )


def proteins(name: str) -> Form:
    """ecoli, yeast: names and numbers in aligned columns."""
    rng = random.Random(name)
    rows = [
        f"{f'{name[:3].upper()}{i}_{name.upper()}':<12}"
        + "".join(f"{rng.random():6.2f}" for _ in range(6))
        + f"   {rng.choice(['cp', 'im', 'pp'])}"
        for i in range(ROWS)
    ]
    return Form(
        "\n".join(rows) + "\n",
        "data",
        columns=8,
        header=False,
        delimiter="blanks",
        kinds={"column 1": "text", "column 2": "number", "column 8": "text"},
    )


def words_only(name: str, levels: Sequence[Sequence[str]]) -> Form:
    """nursery, tic-tac-toe, balance: levels alone."""
    return Form(
        lines(made(name, lambda rng, i: [rng.choice(list(choices)) for choices in levels]), tail="\n\n"),
        "data",
        columns=len(levels),
        header=False,
        kinds={"column 1": "text", f"column {len(levels)}": "text"},
    )


def horse_colic() -> Form:
    def row(rng: random.Random, i: int) -> list[object]:
        return [
            rng.choice([2, 1]),
            1,
            rng.choice([530101, 534817]),
            rng.choice(["38.50", "?"]) if i else "38.50",
            "66",
            "28",
            "?" if i % 5 == 0 else "3",
        ]

    text = "\n".join(" ".join(map(str, cells)) + " " for cells in made("horse", row)) + "\n"
    return Form(
        text,
        "data",
        columns=7,
        header=False,
        delimiter="blanks",
        kinds={"column 4": "number", "column 7": "number"},
        missing={"column 7": 10},
    )


def kdd_arff_like() -> Form:
    """vertebral column: blanks and names of classes; german decimal points."""
    return Form(
        lines(
            made(
                "vert",
                lambda rng, i: [
                    round(rng.uniform(20, 90), 2),
                    round(rng.uniform(5, 40), 2),
                    rng.choice(["DH", "SL", "NO"]),
                ],
            ),
            " ",
        ),
        "dat",
        columns=3,
        header=False,
        delimiter="blanks",
        kinds={"column 1": "number", "column 3": "text"},
    )


def bike_sharing() -> Form:
    def row(rng: random.Random, i: int) -> list[object]:
        return [
            i + 1,
            f"2011-01-{i % 28 + 1:02d}",
            rng.randint(1, 4),
            0,
            round(rng.random(), 6),
            rng.randint(20, 900),
        ]

    return Form(
        lines([["instant", "dteday", "season", "yr", "temp", "cnt"], *made("bike", row)]),
        columns=6,
        kinds={"dteday": "date", "instant": "number", "temp": "number"},
    )


def household_power() -> Form:
    def row(rng: random.Random, i: int) -> list[object]:
        power = (
            ["?", "?", ""] if i == 11 else [f"{rng.uniform(0, 8):.3f}", f"{rng.uniform(0, 1):.3f}", "17.000"]
        )
        return [f"{16 + i // 12}/12/2006", f"17:{i % 60:02d}:00", *power]

    return Form(
        lines(
            [
                ["Date", "Time", "Global_active_power", "Global_reactive_power", "Sub_metering_3"],
                *made("power", row),
            ],
            ";",
        ),
        "txt",
        columns=5,
        delimiter="semicolon",
        kinds={"Date": "date", "Time": "date", "Global_active_power": "number"},
        missing={"Global_active_power": 1, "Sub_metering_3": 1},
    )


def sms() -> Form:
    def row(rng: random.Random, i: int) -> list[object]:
        return [rng.choice(["ham", "spam"]), f'Ok lar, joking; number {i} "quote and more... call 0{i}']

    return Form(
        lines(made("sms", row), "\t"),
        "",
        columns=2,
        header=False,
        delimiter="tab",
        kinds={"column 1": "text"},
    )


def churn() -> Form:
    head = ["customerID", "SeniorCitizen", "Partner", "tenure", "MonthlyCharges", "TotalCharges", "Churn"]

    def row(rng: random.Random, i: int) -> list[object]:
        return [
            f"{7590 + i}-VHVEG",
            0,
            rng.choice(["Yes", "No"]),
            rng.randint(0, 72),
            29.85,
            " " if i == 7 else 108.15,
            rng.choice(["Yes", "No"]),
        ]

    return Form(
        lines([head, *made("churn", row)]),
        columns=7,
        kinds={"customerID": "text", "Partner": "truth", "TotalCharges": "number", "Churn": "truth"},
        missing={"TotalCharges": 1},
    )


def savetxt() -> Form:
    """numpy.savetxt with a comment above the values."""
    text = "# made by numpy\n" + lines(
        made("np", lambda rng, i: [f"{rng.random():.18e}" for _ in range(4)]), " "
    )
    return Form(
        text,
        "txt",
        columns=4,
        header=False,
        delimiter="blanks",
        kinds={"column 1": "number"},
        said=("comments",),
    )


FORMS: dict[str, Callable[[], Form]] = {
    "adult.data": adult,
    "titanic.csv": titanic,
    "auto-mpg.data": auto_mpg,
    "AirQualityUCI.csv": air_quality,
    "bank-full.csv": bank,
    "german.data": german,
    "mushroom": mushroom,
    "car.data": car,
    "penguins.csv": penguins,
    "penguins from R": penguins_of_r,
    "mtcars from write.table": mtcars,
    "abalone": abalone,
    "winequality": wine_quality,
    "iris.data": lambda: numbers_only("iris", 4, 1, ["Iris-setosa", "Iris-virginica"], tail="\n\n"),
    "housing.csv": housing,
    "wdbc": wdbc,
    "hepatitis": lambda: with_marks("hepatitis"),
    "arrhythmia": lambda: with_marks("arrhythmia", share=5),
    "breast-cancer-wisconsin": lambda: with_marks("wisconsin", share=16),
    "forestfires": forest_fires,
    "student-mat": student,
    "ionosphere": ionosphere,
    "sonar": lambda: numbers_only("sonar", 12, 4, ["R", "M"], "all-data"),
    "spambase": lambda: numbers_only("spam", 10, 2, [0, 1]),
    "covtype": covtype,
    "glass": glass,
    "ecoli": lambda: proteins("ecoli"),
    "yeast": lambda: proteins("yeast"),
    "poker": lambda: Form(
        lines(
            made(
                "poker",
                lambda rng, i: [rng.randint(1, 4), rng.randint(1, 13), rng.randint(1, 4), rng.randint(0, 9)],
            )
        ),
        "data",
        columns=4,
        header=False,
        kinds={"column 1": "number", "column 4": "number"},
    ),
    "nursery": lambda: words_only(
        "nursery",
        [["usual", "pretentious"], ["proper", "critical"], ["convenient"], ["not_recom", "priority"]],
    ),
    "tic-tac-toe": lambda: words_only("tic", [["x", "o", "b"]] * 9 + [["positive", "negative"]]),
    "horse-colic": horse_colic,
    "vertebral column": kdd_arff_like,
    "bike sharing": bike_sharing,
    "household power": household_power,
    "Telco churn": churn,
    "numpy.savetxt": savetxt,
}
