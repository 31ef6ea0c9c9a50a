from typing import Any

import pytest

from heatproof.client import PolicyError
from heatproof.client.documents.messages import read
from heatproof.client.documents.targets import target_text
from heatproof.v1.target_pb2 import Target


@pytest.mark.parametrize(
    ("source", "table", "words"),
    [
        ("predicted", {"predicted": {}}, "the predicted class"),
        ("label", {"label": {}}, "the label"),
        ("class:2", {"fixed_class": {"index": 2}}, "cat"),
        (1, {"fixed_class": {"index": 1}}, "class 1"),
        ("class:tabby cat", {"fixed_class": {"name": "tabby cat"}}, "tabby cat"),
        (
            "contrast:2, dog",
            {"contrast": {"of": {"index": 2}, "against": {"name": "dog"}}},
            "cat rather than dog",
        ),
        (
            {"contrast": {"of": 2, "against": "dog"}},
            {"contrast": {"of": {"index": 2}, "against": {"name": "dog"}}},
            "cat rather than dog",
        ),
        ("group:2,7", {"group": {"classes": [{"index": 2}, {"index": 7}]}}, "the mean of cat, "),
    ],
)
def test_texts_stand_for_targets_and_targets_for_words(
    source: Any, table: dict[str, Any], words: str
) -> None:
    target = read(Target, source, "target")
    assert target == Target(**table)
    assert target_text(target, ["a", "class 1", "cat"]).startswith(words)


NO_TARGETS = ["predicted:1", "class:", "class:1,2", "contrast:1", "group:", "x"]


@pytest.mark.parametrize("text", NO_TARGETS)
def test_what_is_no_target_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(PolicyError, match=r"is no target.*contrast:CLASS,CLASS") as caught:
        read(Target, text, "target")
    assert caught.value.path == "target"
