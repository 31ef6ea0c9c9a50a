"""Images of a page: answers, pictures, maps and scores of each."""

import base64
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from heatproof.client.documents.captions import short_digest
from heatproof.client.report.content import Content
from heatproof.client.report.numbers import ABSENT, number
from heatproof.client.report.rows import label_text
from heatproof.v1.results_pb2 import CleanPrediction, ImageResult, ImageScore, Overlay

IMAGES: Final = 50
"""Images whose maps a page shows; the JSON report holds the scores of all."""


@dataclass(frozen=True, slots=True)
class InputView:
    """An image as models see it.

    Attributes:
        caption: which models, where there are several that see it otherwise; else empty.
        source: the JPEG as a data URI.
    """

    caption: str
    source: str


@dataclass(frozen=True, slots=True)
class MapPicture:
    """A map over its image.

    Attributes:
        caption: model, where there are several, and explainer.
        source: the PNG as a data URI.
        lowest: attribution up to which nothing is drawn.
        highest: attribution from which on it is drawn brightest.
    """

    caption: str
    source: str
    lowest: str
    highest: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer to a clean image.

    Attributes:
        model: name of the model.
        target: what is explained.
        top: the most probable classes with their probabilities in per cent.
    """

    model: str
    target: str
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One image.

    Attributes:
        name: its name.
        image: its digest.
        label: its true class, or all that it shows; empty if that is not known.
        answers: what each model says of it.
        inputs: what the models see of it.
        maps: the maps over it.
        scores: its scores: what was scored, the score, and the reason if there is none.
    """

    name: str
    image: str
    label: str
    answers: tuple[Answer, ...]
    inputs: tuple[InputView, ...]
    maps: tuple[MapPicture, ...]
    scores: tuple[tuple[str, str, str], ...]

    @property
    def digest(self) -> str:
        """First digits of the digest."""
        return short_digest(self.image)


def image_name(image: ImageResult) -> str:
    """What a page calls an image."""
    return image.display_name or short_digest(image.image)


def cards(
    content: Content, images: Sequence[ImageResult], hidden: Collection[str] = ()
) -> list[Card]:
    """The first of some images.

    Args:
        content: the report.
        images: its images, in the order of the page.
        hidden: captions of explainers whose maps are not shown.
    """
    return [_card(content, image, hidden) for image in images[:IMAGES]]


def _card(content: Content, image: ImageResult, hidden: Collection[str]) -> Card:
    return Card(
        name=image_name(image),
        image=image.image,
        label=label_text(image, content.classes),
        answers=tuple(_answer(content, answer) for answer in image.predictions),
        inputs=tuple(_inputs(content, image)),
        maps=tuple(
            _map(content, overlay)
            for overlay in image.overlays
            if content.captions.short(overlay.explainer) not in hidden
        ),
        scores=tuple(_score(content, score) for score in image.scores),
    )


def _inputs(content: Content, image: ImageResult) -> Iterator[InputView]:
    """What the models see, once where they see the same."""
    models: dict[bytes, list[str]] = {}
    for held in image.input_pictures:
        models.setdefault(held.jpeg, []).append(held.model)
    for jpeg, names in models.items():
        caption = content.captions.panel(names) if len(models) > 1 else ""
        yield InputView(caption, _data("jpeg", jpeg))


def _map(content: Content, held: Overlay) -> MapPicture:
    caption = _of_models(content, (held.model,), content.captions.short(held.explainer))
    return MapPicture(caption, _data("png", held.png), number(held.lowest), number(held.highest))


def _data(kind: str, picture: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _of_models(content: Content, models: Sequence[str], text: str) -> str:
    """The text, with its models in front where the report has several."""
    return f"{content.captions.panel(models)} · {text}" if content.several_models else text


def _answer(content: Content, held: CleanPrediction) -> Answer:
    classes = content.classes
    top = tuple((classes[entry.class_index], 100 * entry.probability) for entry in held.top)
    explained = classes[held.target] if held.target >= 0 else content.explained
    return Answer(content.captions.model(held.model), explained, top)


def _score(content: Content, held: ImageScore) -> tuple[str, str, str]:
    row = content.results[held.result]
    subject = f"{row.model} · {row.subject}" if content.several_models else row.subject
    if held.score.WhichOneof("outcome") == "value":
        return subject, number(held.score.value), ""
    undefined = held.score.undefined
    return subject, ABSENT, undefined.detail or undefined.reason
