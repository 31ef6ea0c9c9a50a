"""Answers are read as they were written, or not at all."""

from pathlib import Path

import numpy as np
import pytest

from heatproof.evaluators.queries.known.answers import AnswerRow
from heatproof.server.answers.segments import (
    DamagedSegmentError,
    Segment,
    written_row,
    written_segment,
)

RNG = np.random.default_rng(0)
KEYS = [bytes([place]) * 32 for place in range(3)]


def drawn(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


ROWS = [
    AnswerRow(drawn(5), 0.25),
    AnswerRow(drawn(5), None, drawn(4, 2, 2), drawn(4, 2, 2)),
    AnswerRow(np.array([np.nan, np.inf, -0.0], np.float32), features={"deep": drawn(2, 3)}),
]


def written(folder: Path) -> Path:
    path = folder / "file.answers"
    rows = [(key, written_row(row)) for key, row in zip(KEYS, ROWS, strict=True)]
    path.write_bytes(written_segment(rows))
    return path


def test_answers_come_back_in_all_bits(tmp_path: Path) -> None:
    segment = Segment.opened(written(tmp_path))
    assert list(segment.entries) == KEYS
    for key, row in zip(KEYS, ROWS, strict=True):
        found = segment.read(key)
        assert found.logits.tobytes() == row.logits.tobytes()
        assert found.logits.flags.writeable
        assert found.coverage == row.coverage
        assert found.features.keys() == row.features.keys()
        for mine, its in ((row.activation, found.activation), (row.gradient, found.gradient)):
            assert (mine is None) == (its is None)
            if mine is not None and its is not None:
                np.testing.assert_array_equal(mine, its, strict=True)


def test_a_file_that_is_cut_off_or_changed_anywhere_is_none(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    assert Segment.opened(path)
    for place in range(len(whole)):
        for damaged in (
            whole[:place],
            whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :],
        ):
            path.write_bytes(damaged)
            with pytest.raises(DamagedSegmentError):
                Segment.opened(path)


def test_a_file_that_was_replaced_after_it_was_opened_gives_no_wrong_answer(tmp_path: Path) -> None:
    path = written(tmp_path)
    segment = Segment.opened(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedSegmentError):
        segment.read(KEYS[-1])
