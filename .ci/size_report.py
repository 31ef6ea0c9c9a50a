"""Prints the size of the code and fails where a file or a function has outgrown the house."""

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FILE_LIMIT = 400
FUNCTION_LIMIT = 40


class Function(NamedTuple):
    """A function and the lines of its body, without its docstring."""

    place: str
    lines: int


def sources(roots: list[str]) -> list[Path]:
    """Python files that people wrote."""
    found = (path for root in roots for path in sorted(Path(root).rglob("*.py")))
    return [path for path in found if "_pb2" not in path.name]


def functions(path: Path) -> Iterator[Function]:
    """Functions of a file, nested ones and methods included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
            yield Function(f"{path}:{node.lineno} {node.name}", lines)


def main(roots: list[str]) -> int:
    """Prints the report; the exit code is 1 if something is too large."""
    paths = sources(roots)
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    bodies = [function for path in paths for function in functions(path)]
    for root in roots:
        inside = [lines for path, lines in sizes.items() if path.parts[0] == root]
        print(f"{root:12} {len(inside):4} files {sum(inside):6} lines")
    deciles = statistics.quantiles([function.lines for function in bodies], n=10)
    print(f"function bodies: median {deciles[4]:.0f}, 90th percentile {deciles[8]:.0f} lines")
    faults = [f"{path}: {lines} lines" for path, lines in sizes.items() if lines > FILE_LIMIT]
    faults += [f"{f.place}: {f.lines} lines" for f in bodies if f.lines > FUNCTION_LIMIT]
    for fault in faults:
        print(f"too large: {fault}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
