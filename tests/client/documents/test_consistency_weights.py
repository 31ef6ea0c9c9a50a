"""Tables of a trainer's weights."""

import csv
import math
from pathlib import Path

from heatproof.client import ConsistencyWeights, Report
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.evaluation_pb2 import Evaluation
from heatproof.v1.results_pb2 import ConsistencyWeight, Undefined

FOUND = ConsistencyWeights(
    Report(Evaluation(), (), (), Dataset()),
    (
        ConsistencyWeight(image="ab", display_name="a.png", weight=0.25, flipped=False),
        ConsistencyWeight(
            image="cd", display_name="b, c.png", undefined=Undefined(reason="NO_OBJECT")
        ),
        ConsistencyWeight(image="ef", display_name="d.png", weight=0, flipped=True),
    ),
)


def test_an_image_without_a_weight_keeps_the_one_that_the_trainer_says() -> None:
    assert FOUND.to_numpy().tolist() == [0.25, 1, 0]
    assert FOUND.to_numpy(absent=0.5).tolist() == [0.25, 0.5, 0]


def test_a_table_leaves_out_what_there_is_not() -> None:
    frame = FOUND.to_pandas()
    assert list(frame.columns) == ["file", "weight", "flipped", "undefined", "image"]
    assert math.isnan(frame["weight"][1])
    assert frame["undefined"].tolist() == ["", "NO_OBJECT", ""]


def test_a_csv_file_has_a_row_for_each_image(tmp_path: Path) -> None:
    FOUND.write_csv(tmp_path / "weights.csv")
    with (tmp_path / "weights.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["a.png", "b, c.png", "d.png"]
    assert [row["weight"] for row in rows] == ["0.25", "", "0.0"]
    assert [row["flipped"] for row in rows] == ["False", "", "True"]
