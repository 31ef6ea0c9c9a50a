"""What every rendering of a report shows."""

from dataclasses import dataclass
from typing import Self

from heatproof.client.documents.captions import Captions
from heatproof.client.documents.model_files import names_in
from heatproof.client.documents.results import Report
from heatproof.client.report.facts import (
    accuracy_name,
    accuracy_rows,
    class_output_rows,
    explained_text,
    known_text,
    model_line,
    preprocessing_text,
    sampling_text,
    warning_lines,
)
from heatproof.client.report.rows import (
    ClassNames,
    CleanRow,
    DisparityRow,
    PrecisionRow,
    ResultRow,
    clean_rows,
    disparity_rows,
    precision_rows,
    result_rows,
)


@dataclass(frozen=True, slots=True)
class Content:
    """A report as text: made once of the messages, then only rendered.

    Attributes:
        report: the messages.
        classes: names of the classes.
        captions: short names of models, metrics, removal operators and explainers.
        results: the scores, in the order of the report's results.
        disparities: the worst groups of images against the best; empty where they have none.
        clean: the clean answers: image by image, model by model.
        warnings: what makes scores or a verdict doubtful.
        models: the models with their digests.
        images: how many images there are, how many count, and what is the unit of sampling.
        predictions: how many there were, if some of them were known from earlier evaluations.
        preprocessing: all that it sets.
        explained: what of the models' answers is explained.
        class_outputs: how the class scores of each model are read: its name, and this in words.
        accuracies: each model's name and its clean accuracy, with counts and interval.
        accuracy_name: what the clean accuracy is.
        precisions: the average precision of each class, where images have sets of classes.
    """

    report: Report
    classes: ClassNames
    captions: Captions
    results: tuple[ResultRow, ...]
    disparities: tuple[DisparityRow, ...]
    clean: tuple[CleanRow, ...]
    warnings: tuple[str, ...]
    models: str
    images: str
    predictions: str
    preprocessing: str
    explained: str
    class_outputs: tuple[tuple[str, str], ...]
    accuracies: tuple[tuple[str, str], ...]
    accuracy_name: str
    precisions: tuple[PrecisionRow, ...]

    @classmethod
    def of(cls, report: Report, classes: ClassNames) -> Self:
        """Puts a report into words, by the names in the models' files if none are given."""
        classes = classes if classes.names else ClassNames(names_in(report.models))
        captions, spec = report.captions, report.evaluation.spec
        results = tuple(result_rows(report, captions))
        return cls(
            report=report,
            classes=classes,
            captions=captions,
            results=results,
            disparities=tuple(disparity_rows(report, results)),
            clean=tuple(clean_rows(report, captions, classes)),
            warnings=tuple(warning_lines(report, captions)),
            models=model_line(report, captions),
            images=sampling_text(report),
            predictions=known_text(report),
            preprocessing=preprocessing_text(spec.preprocessing),
            explained=explained_text(spec, classes.names),
            class_outputs=tuple(class_output_rows(report, captions)),
            accuracies=tuple(accuracy_rows(report, captions)),
            accuracy_name=accuracy_name(report),
            precisions=tuple(precision_rows(report, classes)),
        )

    @property
    def several_models(self) -> bool:
        """Whether rows must say which model they are of."""
        return len(self.report.models) > 1
