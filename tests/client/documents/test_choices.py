"""Metrics, explainers and operators as they are written on the command line."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.client.documents.reading.choices import choice
from heatproof.client.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("deletion", {"deletion": {}}),
        ("rise: masks = 500 , grid=7", {"rise": {"masks": 500, "grid": 7}}),
        ("metric:scale=logit_margin,on=true", {"metric": {"scale": "logit_margin", "on": True}}),
        ("mask:sizes=[0.1, 0.2],side=3", {"mask": {"sizes": [0.1, 0.2], "side": 3}}),
        (
            "removal:regions.grid.side=8,fractions=4",
            {"removal": {"regions": {"grid": {"side": 8}}, "fractions": 4}},
        ),
        (
            "removal:regions.slic.regions=9,regions.slic.compactness=1.5",
            {"removal": {"regions": {"slic": {"regions": 9, "compactness": 1.5}}}},
        ),
        (
            "removal:regions={slic = {regions = 9, compactness = 1.5}}, fractions=4",
            {"removal": {"regions": {"slic": {"regions": 9, "compactness": 1.5}}, "fractions": 4}},
        ),
        ("metric:nested=[[1, 2], [3]],x=1", {"metric": {"nested": [[1, 2], [3]], "x": 1}}),
    ],
)
def test_choices_are_read(text: str, expected: dict[str, Any]) -> None:
    assert choice(text) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("rise:masks", "name:key=value"),
        ("rise:masks=", "name:key=value"),
        ("rise:=3", "name:key=value"),
        ("rise:masks=1,masks=2", "masks is given twice"),
        ("m:regions=grid,regions.grid.side=2", "regions has a value and further keys"),
        ("m:regions.grid.side=2,regions=grid", "regions is given twice"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        choice(text)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.integers(-99, 99)))
def test_any_parameters_come_back(parameters: dict[str, int]) -> None:
    written = ",".join(f"{key}={value}" for key, value in parameters.items())
    assert choice(f"name:{written}") == {"name": parameters}
