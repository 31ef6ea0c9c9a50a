"""What every page keeps to, whatever it shows."""

import base64
import hashlib
import re
from collections import Counter
from itertools import pairwise, product

import cv2
import numpy as np
import pytest

from heatproof.client.report.page.rendering import TEMPLATES
from heatproof.evaluators.images.overlay import overlay
from tests.client.report.markup import Element, elements
from tests.system.pages.examples import PAGES

STYLE = TEMPLATES.joinpath("page.css").read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=list(PAGES))
def page(request: pytest.FixtureRequest) -> list[Element]:
    return elements(PAGES[request.param]())


def of(page: list[Element], *tags: str) -> list[Element]:
    return [one for one in page if one.tag in tags]


def test_every_header_says_what_it_heads_and_every_table_what_it_holds(
    page: list[Element],
) -> None:
    for header in of(page, "th"):
        assert header.attributes.get("scope") == ("col" if "thead" in header.parents else "row")
        assert header.text.strip()
    for table in of(page, "table"):
        assert table.children[0].tag == "caption"
        assert table.children[0].text.strip()


def test_every_table_lies_in_a_region_that_has_a_name_and_takes_the_focus(
    page: list[Element],
) -> None:
    regions = [one for one in of(page, "div") if one.attributes.get("role") == "region"]
    assert all(one.attributes.get("aria-label") for one in regions)
    assert all(one.attributes.get("tabindex") == "0" for one in regions)
    held = [one for one in of(page, "table") if "td" not in one.parents and "th" not in one.parents]
    assert len(held) == len(regions)


def test_every_drawing_is_told_in_numbers_or_hidden(page: list[Element]) -> None:
    for drawing in of(page, "svg"):
        if drawing.attributes.get("aria-hidden") == "true":
            continue
        assert drawing.attributes["role"] == "img"
        assert re.search(r"\d", drawing.attributes["aria-label"] or "")
    for picture in of(page, "img"):
        assert picture.attributes["alt"]


def test_whiskers_tell_value_interval_and_images() -> None:
    drawn = [
        one.attributes["aria-label"] or ""
        for one in elements(PAGES["gate"]())
        if one.attributes.get("class") == "whisker"
    ]
    assert len(drawn) == 5 + 2
    checks = [words for words in drawn if words.startswith("score")]
    assert len(checks) == 5
    told = r"score 0\.5, interval from 0\.4 to 0\.6, bound at (least|most) [\d.]+, 12 images scored"
    whole = r"score 0\.5, (95 % )?" + told.removeprefix(r"score 0\.5, ")
    assert all(re.fullmatch(whole, words) for words in checks)


def test_headings_descend_one_by_one_and_there_is_one_title(page: list[Element]) -> None:
    levels = [int(one.tag[1]) for one in of(page, "h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert [one.attributes.get("lang") for one in of(page, "html")] == ["en"]
    assert Counter(one.tag for one in of(page, "main", "header", "footer")).total() == 3


def test_links_within_a_page_lead_somewhere_and_ids_are_one_elements(page: list[Element]) -> None:
    ids = Counter(one.attributes["id"] for one in page if one.attributes.get("id"))
    assert set(ids.values()) <= {1}
    for link in of(page, "a"):
        assert (link.attributes["href"] or "").removeprefix("#") in ids


def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else(
    page: list[Element],
) -> None:
    (policy,) = (
        one.attributes["content"] or ""
        for one in of(page, "meta")
        if one.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        digests = [
            base64.b64encode(hashlib.sha256(one.text.encode()).digest()).decode()
            for one in of(page, tag)
        ]
        assert len(digests) <= 1
        assert allowed.get(directive) == (f"'sha256-{digests[0]}'" if digests else None)
    assert allowed["default-src"] == "'none'"
    assert allowed["img-src"] == "data:"
    assert not any(
        name.startswith("on") or name == "style" for one in page for name in one.attributes
    )


def test_no_character_turns_the_text_behind_it(page: list[Element]) -> None:
    written = [one.text for one in of(page, "html")]
    written += [value or "" for one in page for value in one.attributes.values()]
    assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", "".join(written))


def colours(block: str) -> dict[str, str]:
    found: dict[str, str] = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", block))
    return found


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2."""
    digits = colour.removeprefix("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = np.array([int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


LIGHT, DARK, PAPER = (colours(block) for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL))
TONES = ("good", "bad", "warning", "quiet")
TEXTS = [
    *product(("ink", "soft", "own", "good", "bad"), ("card", "page")),
    *((text, f"{tone}-wash") for tone in TONES for text in (tone, "ink")),
]
LINES = ("own", "random", "oracle", "control", "bad", "strong-line", "focus")
DRAWN = [(line, "card") for line in LINES]


@pytest.mark.parametrize("theme", [LIGHT, DARK, PAPER], ids=["light", "dark", "paper"])
def test_texts_and_drawings_stand_out_from_what_they_lie_on(theme: dict[str, str]) -> None:
    theme = {**LIGHT, **theme}
    faint = {pair for pair in TEXTS if contrast(*(theme[name] for name in pair)) < 4.5}
    faint |= {pair for pair in DRAWN if contrast(*(theme[name] for name in pair)) < 3}
    assert faint == set()


def test_every_colour_has_a_value_in_the_dark_and_on_paper() -> None:
    assert set(DARK) == set(LIGHT)
    assert set(PAPER) == set(LIGHT) - {"focus"}  # nothing on paper has the focus


def test_the_scale_has_the_colours_of_the_maps() -> None:
    stops = re.search(r"linear-gradient\(to right, (#808080.*?)\)", STYLE)
    assert stops
    shown = [[int(stop[at : at + 2], 16) for at in (1, 3, 5)] for stop in stops[1].split(", ")]
    # Beyond the 99th percentile all is brightest: a long tail of the maximum keeps the ramp linear.
    ramp = np.concatenate([np.linspace(0, 1, 101), np.ones(20)])[None].repeat(3, axis=0)
    grey = np.full((3, *ramp.shape), 128 / 255, np.float32)
    data = np.frombuffer(overlay(grey, ramp).png, np.uint8)
    drawn = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    assert drawn is not None
    assert np.abs(drawn[0, :101:10].astype(int) - shown).max() <= 2
