"""The HTML pages in a browser: nothing fetched, no barrier, sorted and filtered."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page

from tests.system.pages.browsing import barriers, chromium, opened, until
from tests.system.pages.examples import IMAGES, ORDER, PAGES, image_names

WITH_IMAGES = ["evaluation", "gate", "comparison"]
LEAD = "insertion"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for kind, made in PAGES.items():
        (folder / f"{kind}.html").write_text(made(), encoding="utf-8")
    return {kind: folder / f"{kind}.html" for kind in PAGES}


def rows(page: Page) -> list[str]:
    """Names of the images that the table shows, top to bottom."""
    return page.locator("#image-table tbody tr:visible > th").all_inner_texts()


def shown_cards(page: Page) -> list[str]:
    return page.locator("article:visible > h3").all_inner_texts()


def plain(names: list[str]) -> list[str]:
    """Names as a page shows them: what turns the direction of text is marked instead."""
    return [name.replace("\u202e", "\ufffd").replace("\u202c", "\ufffd") for name in names]


def header(page: Page, name: str) -> Locator:
    return page.locator("#image-table thead th", has_text=name).first


def ordered(order: tuple[int, ...] = ORDER) -> list[str]:
    names = plain(image_names())
    return [names[at] for at in order]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("kind", PAGES)
def test_a_page_has_no_barrier_and_does_not_scroll_sideways(
    browser: Browser, pages: dict[str, Path], kind: str, width: int, scheme: str
) -> None:
    with opened(browser, pages[kind], width=width, scheme=scheme) as (page, _):
        page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert barriers(page) == []
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_fetches_nothing_and_no_name_in_it_runs(
    browser: Browser, pages: dict[str, Path], kind: str
) -> None:
    with opened(browser, pages[kind]) as (page, noise):
        assert (noise.requests, noise.messages) == ([], [])
        assert page.evaluate("window.violations") == []
        assert page.evaluate("window.broken") is None
        # Its own script runs, for the policy knows it; whatever else comes in does not.
        assert page.locator("#image-controls:visible").count() == (kind in WITH_IMAGES)
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), "
            "{textContent: 'window.broken = 1'}))"
        )
        page.evaluate("document.body.setAttribute('style', 'margin: 99px')")
        page.evaluate("new Image().src = 'https://example.com/x.png'")
        until(page, "window.violations.length >= 3")
        assert page.evaluate("window.broken") is None
        assert page.evaluate("getComputedStyle(document.body).marginTop") == "0px"


@pytest.mark.parametrize("kind", WITH_IMAGES)
def test_without_scripts_the_worst_images_come_first_and_all_are_there(
    browser: Browser, pages: dict[str, Path], kind: str
) -> None:
    with opened(browser, pages[kind], scripts=False) as (page, _):
        assert rows(page) == shown_cards(page) == ordered()
        assert page.locator("#image-controls").is_hidden()
        assert page.locator("#image-table button").count() == 0
        assert header(page, LEAD).get_attribute("aria-sort") == "ascending"


def test_a_header_sorts_table_and_maps_with_what_has_no_score_last(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["evaluation"]) as (page, _):
        lead = header(page, LEAD)
        lead.get_by_role("button").click()
        assert lead.get_attribute("aria-sort") == "descending"
        assert rows(page) == shown_cards(page) == ordered((*ORDER[9::-1], *ORDER[10:]))
        assert page.locator("#image-count").inner_text().endswith("black, descending")

        name = header(page, "Image")
        name.get_by_role("button").focus()
        page.keyboard.press("Enter")
        assert name.get_attribute("aria-sort") == "ascending"
        assert lead.get_attribute("aria-sort") is None
        numbered = [one for one in rows(page) if one.startswith("image-")]
        assert numbered == image_names()[3:]  # image-10 comes behind image-9
        assert shown_cards(page) == rows(page)
        page.keyboard.press("Enter")
        assert name.get_attribute("aria-sort") == "descending"


def test_the_filter_counts_what_it_leaves(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["evaluation"]) as (page, _):
        field, count = page.get_by_label("Filter images"), page.get_by_role("status")
        field.press_sequentially("IMAGE-1")
        assert rows(page) == shown_cards(page) == ["image-11.png", "image-10.png"]
        assert count.inner_text() == f"2 of {IMAGES} images"
        field.fill("weak_oracle png")
        assert sorted(rows(page)) == ["image-10.png"]
        field.fill("no such image")
        assert (rows(page), count.inner_text()) == ([], f"0 of {IMAGES} images")
        field.fill("")
        assert rows(page) == ordered()


def test_answers_are_chosen_by_whether_they_are_right(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["evaluation"]) as (page, _):
        found = {}
        for standing in ("right", "wrong", "unknown"):
            page.get_by_label("Answers").select_option(standing)
            found[standing] = rows(page)
        assert found["unknown"] == ["image-11.png"]
        # The top class is the image's number modulo 3; odd images have a label of one more.
        assert {name for name in found["right"] if name.startswith("image-")} == {
            f"image-{at}.png" for at in (4, 6, 8, 10)
        }
        assert len(found["right"]) + len(found["wrong"]) == IMAGES - 1
        page.get_by_label("Filter images").fill("image-4")
        page.get_by_label("Answers").select_option("right")
        assert rows(page) == ["image-4.png"]


def test_the_way_by_keyboard_is_seen_and_reaches_tables(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["gate"], width=400) as (page, _):
        reached = set()
        for _ in range(24):
            page.keyboard.press("Tab")
            outline = page.evaluate(
                "(() => { const s = getComputedStyle(document.activeElement);"
                "return s.outlineStyle + ' ' + parseFloat(s.outlineWidth); })()"
            )
            assert outline == "solid 3"
            reached.add(page.evaluate("document.activeElement.getAttribute('aria-label')"))
        assert {"Checks", "Changes against the baseline", "Scores"} <= reached
        region = page.get_by_role("region", name="Checks", exact=True)
        region.focus()
        page.keyboard.press("ArrowRight")
        until(page, "document.querySelector('[aria-label=Checks]').scrollLeft > 0")


def test_the_first_stop_leads_past_the_header(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["gate"]) as (page, _):
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"


PAPER = 1030
"""Pixels of an A4 sheet on its side, within its margins."""


def test_on_paper_tables_are_whole_and_controls_are_gone(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["gate"], width=PAPER, scheme="dark") as (page, _):
        page.emulate_media(media="print")
        assert page.evaluate("document.documentElement.scrollWidth") <= PAPER
        assert page.locator("#image-controls").is_hidden()
        assert page.get_by_role("navigation").count() == 0
        heights = page.evaluate(
            "[...document.querySelectorAll('.scroll')].map((one) => "
            "[one.clientHeight, one.scrollHeight])"
        )
        assert all(seen >= whole for seen, whole in heights)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)"
        )
