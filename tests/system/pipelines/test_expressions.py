"""The interpreter of the tests, held to what GitHub's documentation says."""

import pytest

from tests.system.pipelines.expressions import Value, evaluated, filled

CONTEXTS = {
    "inputs": {"model": "a'b.onnx", "comment": "true", "empty": "", "python-version": "3.12"},
    "steps": {"gate": {"outputs": {"exit-code": "1"}}},
    "github": {"event": {}},
}
STATUS = {"always": True, "success": False, "failure": True, "cancelled": False}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("inputs.model", "a'b.onnx"),
        ("inputs.gone", None),
        ("steps.gone.outputs.x", None),
        ("steps.gate.outputs.exit-code == '1'", True),
        ("steps.gate.outputs.exit-code != ''", True),
        ("inputs.comment == 'TRUE'", True),
        ("inputs.comment == true", False),  # 'true' is no number
        ("'1' == 1", True),
        ("null == ''", True),
        ("inputs.empty || github.event.repository.default_branch || 'main'", "main"),
        ("inputs.empty && 'x'", ""),
        ("!cancelled() && inputs.comment == 'true'", True),
        ("!(always() && success()) || failure()", True),
        ("'it''s'", "it's"),
        ("false || null", None),
    ],
)
def test_values(text: str, value: Value) -> None:
    found = evaluated(text, CONTEXTS, STATUS)
    assert (type(found), found) == (type(value), value)


def test_texts_are_filled() -> None:
    text = "v${{ inputs.python-version }}: ${{inputs.gone}}${{ success() }}"
    assert filled(text, CONTEXTS, STATUS) == "v3.12: false"


@pytest.mark.parametrize(
    "text",
    ["inputs.model ==", "secrets.x", "toJSON(inputs)", "inputs['model']", "1 < 2", "'a' 'b'"],
)
def test_what_it_does_not_know_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError, IndexError)):
        evaluated(text, CONTEXTS, STATUS)
