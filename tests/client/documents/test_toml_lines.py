"""Lines are known by construction: each piece of a file is put where it is said to be."""

import tomllib
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.client.documents.policies import PRESETS, preset_text
from heatproof.client.documents.reading.toml_lines import line_of, toml_lines

HEADERS = ("[[checks]]", "[[ checks ]] # [[checks]]", '[["checks"]]', "\t[['checks']]#")
"""Ways to begin a check."""

NOISE = (
    "",
    "# [[checks]]",
    "  \t",
    'KEY = "[[checks]]"',
    'KEY = \'[[checks]] # """\'',
    'KEY = """\n[[checks]]\n  \\\n"""',
    "KEY = '''\n[[checks]]\n[checks\n'''",
    'KEY = [ # ]\n  "[[checks]]", # ,]\n\n  [1,\n 2]\n]',
    'KEY = { a = "}[[checks]]", b = [1,\n2] }',
    "KEY.'[[checks]]'.c = 1",
    "[KEY]",
    "[[KEY.checks]]",
    "[KEY.'[[checks]]']",
    "[checks.KEY]",
)
"""What may stand around them; KEY is another name each time."""

ITEMS = (
    '{ a = "],{" }',
    "{ a = [1, # ],\n 2], b = { c = 1 } }",
    '{ a = """\n],{\n""" }',
    "{ checks = [{ a = 1 },\n { a = 2 }] }",
    "{}",
)
"""Checks of an inline array."""

GAPS = (", ", ",\n", " # a, b\n,\n", "\n,\n\n", ", # },\n  ", "\n# {},\n,", ",\t\n# ]\n")
"""What may stand between them."""


@given(
    pieces=st.lists(st.one_of(st.sampled_from(HEADERS), st.sampled_from(NOISE))),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_checks_are_found_whatever_stands_around_them(pieces: list[str], newline: str) -> None:
    names, lines, expected = count(), list[str](), list[int]()
    for piece in pieces:
        if piece == "[checks.KEY]" and not expected:
            continue  # a table of no check
        if piece in HEADERS:
            expected.append(len(lines) + 1)
        lines += piece.replace("KEY", f"key{next(names)}").split("\n")
    text = newline.join(lines)
    found = toml_lines(text)

    assert len(tomllib.loads(text).get("checks", [])) == len(expected)
    assert [found[f"checks[{index}]"] for index in range(len(expected))] == expected
    assert f"checks[{len(expected)}]" not in found


@given(
    items=st.lists(st.sampled_from(ITEMS), min_size=1, max_size=6),
    gaps=st.lists(st.sampled_from(GAPS), min_size=7, max_size=7),
    opening=st.sampled_from(["[", "[\n", "[ # [{},\n\n"]),
    before=st.sampled_from(["", "# checks = [{}]\n", 'a = """\nchecks = [{}]\n"""\n', "\r\n"]),
)
def test_checks_of_an_inline_array_are_found(
    items: list[str], gaps: list[str], opening: str, before: str
) -> None:
    text, expected = f"{before}checks = {opening}", []
    for item, gap in zip(items, gaps, strict=False):
        expected.append(1 + text.count("\n"))
        text += item + gap
    text += "]\n"
    found = toml_lines(text)

    assert len(tomllib.loads(text)["checks"]) == len(items)
    assert [found[f"checks[{index}]"] for index in range(len(items))] == expected


def test_a_field_has_its_own_line_and_one_that_is_absent_that_of_its_check() -> None:
    lines = toml_lines(
        'explainers = [\n  "grad_cam",\n]\n[model.preprocessing]\npreset = "unit"\n'
        "[[checks]]\nmetric = { deletion = { grid = [\n7] } }\n[checks.explainer.rise]\nmasks = 3\n"
        "[[checks]]\nmin = 1"
    )
    assert {path: line_of(lines, path) for path in (
        "explainers", "model", "model.preprocessing.preset", "checks[0].metric.deletion.grid",
        "checks[0].explainer.rise.masks", "checks[1].min", "checks[1].max", "checks[2]", "seed", "",
    )} == {
        "explainers": 1, "model": 4, "model.preprocessing.preset": 5,
        "checks[0].metric.deletion.grid": 7, "checks[0].explainer.rise.masks": 10,
        "checks[1].min": 12, "checks[1].max": 11, "checks[2]": 6, "seed": None, "": None,
    }  # fmt: skip


def test_of_a_text_that_is_no_toml_it_has_what_stands_above_the_fault() -> None:
    assert toml_lines('seed = 1\n[[checks]]\nmin = "\nmax = 1\n') == {
        "seed": 1, "checks": 2, "checks[0]": 2
    }  # fmt: skip


@pytest.mark.parametrize("name", PRESETS)
def test_checks_of_the_presets_stand_at_their_headers(name: str) -> None:
    text = preset_text(name)
    found = toml_lines(text)
    checks = tomllib.loads(text)["checks"]
    places = [found[f"checks[{index}]"] for index in range(len(checks))]
    assert all(text.split("\n")[place - 1] == "[[checks]]" for place in places)
    assert all(first < second for first, second in pairwise(places))
