"""Where plug-ins are imported from, wherever they are installed."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from heatproof.evaluators.registry import plugins


def test_the_paths_of_plug_ins_are_their_package_or_their_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "whole_package").mkdir()
    (tmp_path / "whole_package" / "__init__.py").touch()
    (tmp_path / "single_file.py").touch()
    (tmp_path / "other.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    entries = [
        EntryPoint("one", "whole_package.metrics", plugins.GROUP),
        EntryPoint("two", "single_file", plugins.GROUP),
        EntryPoint("gone", "not_installed", plugins.GROUP),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda **_: entries)

    paths = plugins.plugin_paths()
    assert set(paths) == {str(tmp_path / "single_file.py"), str(tmp_path / "whole_package")}
