"""Names of classes in the metadata of files that nobody trusts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.graphs.heads.class_names import KEYS, MAX_NAME, class_names_of

NAMES = ("cat", "dog", "it's a bird")
words = st.text(st.characters(categories=["L", "N", "P"], exclude_characters=","), min_size=1)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(NAMES),
        json.dumps({"2": NAMES[2], "0": NAMES[0], "1": NAMES[1]}),
        str(dict(enumerate(NAMES))),  # as Ultralytics writes them
        str(NAMES),
        "\n".join(NAMES) + "\n",
        " , ".join(NAMES),
    ],
)
@pytest.mark.parametrize("key", KEYS)
def test_every_exporters_form_is_read(text: str, key: str) -> None:
    assert class_names_of({"author": "x", key: text}, 3) == NAMES


@given(st.lists(words, min_size=2, max_size=12))
def test_names_come_back_by_index(names: list[str]) -> None:
    for text in (json.dumps(names), repr(dict(enumerate(names)))):
        assert class_names_of({"names": text}, len(names)) == tuple(names)


def test_a_name_may_hold_brackets() -> None:
    assert class_names_of({"names": json.dumps(["[{(", "]"])}, 2) == ("[{(", "]")


@given(st.text(max_size=60), st.integers(0, 4))
def test_any_text_gives_one_name_a_class_or_none(text: str, classes: int) -> None:
    found = class_names_of({"names": text}, classes)
    assert len(found) in {0, classes}
    assert all(name and name.isprintable() for name in found)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(NAMES[:2]),
        json.dumps({"0": "cat", "1": "dog", "3": "bird"}),
        json.dumps(["cat", "dog", 7]),
        json.dumps(["cat", "dog", ""]),
        json.dumps(["cat", "dog", "x" * (MAX_NAME + 1)]),
        json.dumps(["cat", "dog", "\u202e\x1b[31m"]),
        json.dumps({"names": NAMES}),
        "[" * 100_000,
        "{0:" * 30_000,
        "[" + "-" * 100_000 + "1]",
        "[" + "not " * 50_000 + "1]",
        "['cat', 'dog', __import__('os').getcwd()]",
        "cat" * 200_000,
    ],
)
def test_what_does_not_name_each_class_names_none(text: str) -> None:
    assert class_names_of({"names": text}, 3) == ()
    assert class_names_of({"names": text, "labels": ",".join(NAMES)}, 3) == NAMES
