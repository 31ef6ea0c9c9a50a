import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from heatproof.client import PolicyError, UsageError
from heatproof.client.documents.policies import read_policy, read_preprocessing
from heatproof.v1.explainers_pb2 import Explainer
from heatproof.v1.gate_pb2 import Check, Policy
from heatproof.v1.preprocessing_pb2 import Preprocessing

FULL = """
explainers = ["grad_cam", { rise = { masks = 500, visible_probability = 0.25 } }]
removals = [{ layer = { mode = "strict" } }, "black"]
seed = 7
target = "label"
abs_tolerance = 0.001
min_images = 10

[model.preprocessing]
preset = "imagenet"
resize = "shortest_side"
mean = [0.5, 1]

[[checks]]
metric = { deletion = { grid = 7, scale = "relative" } }
explainer = "grad_cam"
max = 0.3
on = "mean"
severity = "warn"
inconclusive = "fail"
max_regression = 0

[[checks]]
metric = { custom = { name = "mine", parameters = { depth = 3, anything = "goes" } } }
min = 1
"""

SAME_AS_JSON = """
{"explainers": [{"gradCam": {}}, {"rise": {"masks": 500, "visibleProbability": 0.25}}],
 "removals": [{"layer": {"mode": "MODE_STRICT"}}, {"black": {}}],
 "seed": "7", "target": {"label": {}}, "absTolerance": 0.001, "minImages": 10,
 "model": {"preprocessing": {"preset": "imagenet", "resize": "RESIZE_SHORTEST_SIDE",
                             "mean": [0.5, 1.0]}},
 "checks": [
   {"metric": {"deletion": {"grid": 7, "scale": "CURVE_SCALE_RELATIVE"}},
    "explainer": {"gradCam": {}}, "max": 0.3, "on": "ON_MEAN", "severity": "SEVERITY_WARN",
    "inconclusive": "INCONCLUSIVE_FAIL", "maxRegression": 0},
   {"metric": {"custom": {"name": "mine", "parameters": {"depth": 3, "anything": "goes"}}},
    "min": 1}]}
"""


def test_a_policy_file_is_the_protobuf_json_form_of_its_message(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(FULL)

    policy = read_policy(path)

    assert policy == json_format.Parse(SAME_AS_JSON, Policy())
    assert policy.checks[0].HasField("max_regression")
    assert not policy.checks[0].HasField("min")


@pytest.mark.parametrize("name", ["mean", "MEAN", "ON_MEAN", "on_mean"])
def test_an_enum_value_may_drop_its_prefix(name: str) -> None:
    policy = read_policy({"checks": [{"metric": "deletion", "on": name}]})

    assert policy.checks[0].on == Check.ON_MEAN


@pytest.mark.parametrize(
    ("document", "message", "path"),
    [
        ({"cheks": []}, "unknown key 'cheks'; did you mean 'checks'?", "cheks"),
        (
            {"checks": [{"metric": "deletion", "max_regresion": 1}]},
            "unknown key 'checks[0].max_regresion'; did you mean 'checks[0].max_regression'?",
            "checks[0].max_regresion",
        ),
        (
            {"checks": [{}, {"metric": {"deletion": {"gird": 7}}}]},
            "did you mean 'checks[1].metric.deletion.grid'?",
            "checks[1].metric.deletion.gird",
        ),
        (
            {"checks": [{"metric": "deletoin"}]},
            "unknown metric 'deletoin' at 'checks[0].metric'; did you mean 'deletion'?",
            "checks[0].metric",
        ),
        (
            {"checks": [{"metric": "deletion", "on": "meen"}]},
            "unknown value 'meen' at 'checks[0].on'; did you mean 'mean'?",
            "checks[0].on",
        ),
        (
            {"checks": [{"metric": "deletion", "on": "unspecified"}]},
            "known: interval, mean",
            "checks[0].on",
        ),
        ({"checks": {}}, "checks must be a list", "checks"),
        ({"checks": ["deletion"]}, "checks[0] must be a table", "checks[0]"),
        (
            {"checks": [{"metric": {"deletion": {"grid": 7.5}}}]},
            "checks[0].metric.deletion.grid must be a whole number, not 7.5",
            "checks[0].metric.deletion.grid",
        ),
        (
            {"checks": [{"metric": "deletion", "max": True}]},
            "checks[0].max must be a number, not True",
            "checks[0].max",
        ),
        ({"checks": []}, "no checks", "checks"),
    ],
)
def test_a_wrong_policy_is_refused_with_place_and_nearest_key(
    document: Any, message: str, path: str
) -> None:
    with pytest.raises(PolicyError, match=re.escape(message)) as caught:
        read_policy(document)

    assert caught.value.path == path


def test_two_metrics_in_one_check_are_refused() -> None:
    with pytest.raises(PolicyError):
        read_policy({"checks": [{"metric": {"deletion": {}, "insertion": {}}}]})


def test_a_file_that_is_no_toml_or_missing_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("checks = [")

    with pytest.raises(PolicyError, match=r"broken\.toml is no TOML"):
        read_policy(broken)
    with pytest.raises(UsageError, match="cannot read"):
        read_policy(tmp_path / "gone.toml")


@pytest.mark.parametrize("head", ["", "[preprocessing]\n", "[model.preprocessing]\n"])
def test_a_preprocessing_file_may_be_a_bare_table_or_part_of_a_policy(
    tmp_path: Path, head: str
) -> None:
    path = tmp_path / "p.toml"
    path.write_text(head + 'resize = "stretch"\nheight = 8\n')

    expected = Preprocessing(resize=Preprocessing.RESIZE_STRETCH, height=8)
    assert read_preprocessing(path) == expected
    assert read_preprocessing(str(path)) == expected


def test_a_plain_name_is_a_preset() -> None:
    assert read_preprocessing("tf") == Preprocessing(preset="tf")


def test_messages_are_taken_as_they_are() -> None:
    explainer = Explainer()
    explainer.rise.masks = 3

    policy = read_policy({"checks": [{"metric": "deletion"}], "explainers": [explainer]})

    assert policy.explainers[0] == explainer


def test_bytes_are_given_as_they_are_or_as_json_writes_them() -> None:
    values = bytes(range(4))
    for given in (values, "AAECAw=="):
        matrix = {"classes": 1, "values": given}
        policy = read_policy(
            {"checks": [{"metric": {"segment_removal": {"similarity": matrix}}, "min": 0.5}]}
        )
        assert policy.checks[0].metric.segment_removal.similarity.values == values


def test_a_value_of_the_wrong_type_is_told_in_short() -> None:
    matrix = {"classes": 1, "values": list(range(100_000))}
    with pytest.raises(PolicyError) as caught:
        read_policy({"checks": [{"metric": {"segment_removal": {"similarity": matrix}}}]})
    assert len(str(caught.value)) < 300


def test_intervals_are_named_without_their_prefix() -> None:
    table = {"checks": [{"metric": "insertion", "min": 0.2}], "interval": "bounded"}
    assert read_policy(table).interval == Policy.INTERVALS_BOUNDED
    with pytest.raises(PolicyError, match="bounded"):
        read_policy({**table, "interval": "bound"})
