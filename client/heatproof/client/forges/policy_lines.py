"""Lines of a policy's file, by what a verdict or an error names."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from heatproof.client.documents.policies import PRESETS, read_policy
from heatproof.client.documents.reading.toml_lines import line_of, toml_lines
from heatproof.client.errors import HeatproofError
from heatproof.v1.metrics_pb2 import Metric

_METRIC: Final = re.compile(r"metrics\[(\d+)\](.*)")

_OF_MODEL: Final = ("preprocessing", "output", "activation", "class_names")
"""Fields of a spec that a policy has in its table `model`."""


@dataclass(frozen=True, slots=True)
class PolicyLines:
    """Where the rules of a policy stand.

    Attributes:
        file: its path, as the forge knows it.
        lines: the line of each value, by its path.
        fault: the line for which it is no TOML; None if it is TOML.
        checks_of_metrics: the first check of each metric that an evaluation scores.
    """

    file: str
    lines: Mapping[str, int]
    fault: int | None = None
    checks_of_metrics: tuple[int, ...] = ()

    @classmethod
    def of(cls, source: str, root: Path) -> Self | None:
        """Reads a policy's file; None of a preset and of a file that cannot be read.

        Args:
            source: its path, or the name of a preset.
            root: folder that the forge's paths begin at.
        """
        if source in PRESETS:
            return None
        path = Path(source)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        file = path.resolve()
        named = file.relative_to(root) if file.is_relative_to(root) else path
        lines, metrics = toml_lines(text), _checks_of_metrics(path)
        return cls(named.as_posix(), lines, _fault(text), metrics)

    def of_check(self, index: int) -> int | None:
        """The line where a check begins; -1 is the clean accuracy."""
        return self.of_field("clean_accuracy" if index < 0 else f"checks[{index}]")

    def of_field(self, field: str) -> int | None:
        """The line of a field that an error names: of the policy, or of the spec made of it."""
        root, _, rest = field.partition(".")
        if root == "policy":
            return line_of(self.lines, rest)
        return line_of(self.lines, self._in_policy(rest) if root == "spec" else field)

    def _in_policy(self, path: str) -> str:
        """The place in the policy of a field of the spec."""
        metric = _METRIC.fullmatch(path)
        if metric and int(metric[1]) < len(self.checks_of_metrics):
            return f"checks[{self.checks_of_metrics[int(metric[1])]}].metric{metric[2]}"
        return f"model.{path}" if path.startswith(_OF_MODEL) else path


def _fault(text: str) -> int | None:
    """The line for which a text is no TOML; None if it is TOML."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        return int(found[1]) if found else 1 + text.rstrip("\n").count("\n")  # at its end
    return None


def _checks_of_metrics(path: Path) -> tuple[int, ...]:
    try:
        checks = read_policy(path).checks
    except HeatproofError:
        return ()  # then nobody has made a spec of it
    seen: list[Metric] = []
    first: list[int] = []
    for index, check in enumerate(checks):
        if check.metric not in seen:
            seen.append(check.metric)
            first.append(index)
    return tuple(first)
