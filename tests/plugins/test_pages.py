"""The blocks of docs/other-libraries.md run, one after the other, as a reader would paste them."""

import re
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnx
import pandas as pd
import pytest
from PIL import Image

from heatproof.client.export import exported
from tests.plugins.networks import CLASSES, EXAMPLE, Network, photographs

PAGE = Path(__file__).parents[2] / "docs" / "other-libraries.md"

POLICY = """
explainers = ["saliency"]

[model.preprocessing]
preset = "imagenet"

[[checks]]
metric = { sparseness = {} }
min = 0.01
on = "mean"
"""


class DataSet:
    """A data set by the protocol of MAITE."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, ind: int) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        return photographs(3)[ind].transpose(2, 0, 1), np.eye(CLASSES)[ind], {"id": ind}


@pytest.mark.filterwarnings("ignore")  # MLflow's and torch's own
def test_the_blocks_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("heatproof.toml").write_text(POLICY)
    for index, pixels in enumerate(photographs(3)):
        Image.fromarray(pixels).save(f"{index}.png")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.sqlite")
    mlflow.set_experiment("pages")
    graph = onnx.load_from_string(exported(Network(), EXAMPLE))
    names: dict[str, Any] = {
        "module": Network(),
        "example": EXAMPLE,
        "images": photographs(3),
        "maite_dataset": DataSet(),
        "model_uri": mlflow.onnx.log_model(graph, name="classifier").model_uri,
        "frame": pd.DataFrame({"path": ["0.png", "1.png", "2.png"], "label": [0, 1, 2]}),
    }
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102  # the page's own code

    assert len(names["report"].results) == 2 * 6
    assert names["held"].labels == [0, 1, 2]
    assert names["result"].metrics["heatproof/passed"] == 1
