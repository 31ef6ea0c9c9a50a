import re

from hypothesis import given
from hypothesis import strategies as st

from heatproof.client.forges.fitting import fitted
from heatproof.client.report import markdown

LINES = st.lists(st.text("ab|\n", max_size=60), max_size=12).map("\n".join)
FOLDED = st.builds(
    "<details><summary>{}</summary>\n\n{}\n</details>\n".format, st.text("xyz"), LINES
)
TEXTS = st.lists(st.one_of(LINES, FOLDED), max_size=14).map("\n".join)


def folded(title: str, size: int) -> str:
    return f"<details><summary>{title}</summary>\n\n{'x' * size}\n\n</details>\n\n"


@given(text=TEXTS, limit=st.integers(400, 1_500))
def test_a_text_is_left_as_it_is_or_fits_and_says_that_it_is_cut(text: str, limit: int) -> None:
    found = fitted(text, limit)
    assert len(found) <= limit
    assert (found == text) == (len(text) <= limit)
    assert ("Left out" in found) == (found != text)
    assert found.count("<details>") == found.count("</details>")


def test_folded_parts_go_first_from_the_end_on_and_are_named() -> None:
    text = "# A\n\n" + folded("one", 300) + "middle\n\n" + folded("two", 300) + folded("three", 300)
    found = fitted(text, 900)
    assert "middle" in found
    assert "<summary>one" in found
    assert "<summary>two" in found
    assert found.endswith("too long: “three”.\n")
    assert fitted(text, 500).endswith("too long: “two”, “three”.\n")


def test_where_the_last_line_would_not_fit_one_more_part_goes() -> None:
    first = "# A\n\n" + folded("one", 300)
    found = fitted(first + folded("two", 300), len(first) + 10)
    assert found == "# A\n\n> ✂️ Left out, for this would be too long: “one”, “two”.\n"


def test_then_lines_of_the_end_go_and_are_counted() -> None:
    text = "# A\n" + "row\n" * 1_000 + folded("one", 10)
    found = fitted(text, 500)
    kept = found.count("row\n")
    assert kept > 50
    told = re.search(r"too long: “one”, the last (\d+) lines of the rest", found)
    assert told is not None
    # Those that are counted are the rows and an empty line at the most.
    assert 0 <= int(told[1]) - (1_000 - kept) <= 1


def test_of_many_parts_the_last_are_named_and_the_others_counted() -> None:
    text = "# A\n" + "".join(folded(f"part {index} {'x' * 300}", 900) for index in range(100))
    found = fitted(text, 2_500)
    assert len(found) <= 2_500
    assert "92 folded parts, “part 92" in found


def test_a_title_that_is_named_is_no_markdown() -> None:
    title = "What else differs from [x](http://y) @team\n\n# big"
    text = "\n".join(["head", "", *markdown.folded(title, ["text " * 50])])
    shown = fitted(text, 200)
    assert "\\[x\\]" in shown
    assert "@team" not in shown
    assert "\n# big" not in shown
