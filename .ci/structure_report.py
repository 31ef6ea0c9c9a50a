"""Prints where the house is crowded or says things twice, and fails if it does.

Folders with more than twelve modules, circles between packages, public names that two modules of
one root define, and functions of more than thirty lines. Exceptions are listed with their reason.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
from size_report import functions, sources

FOLDER_LIMIT = 12
FUNCTION_LIMIT = 30

VARIABLES = frozenset({"TypeVar", "ParamSpec"})

TWICE: dict[str, dict[str, str]] = {
    "client": {
        "app": "each group of commands is a Typer application of its own",
        "estimate": "the flow that plans an evaluation; the numbers of a summary",
        "render": "every format of a report has one, called by the name of its module",
        "write": "as above",
        "run": "the command line's entry point; the flow that runs an evaluation",
    },
    "server": {
        "revision": "Alembic looks for it in every migration",
        "down_revision": "as above",
        "upgrade": "as above",
    },
    "evaluators": {
        "Mean": "the removal operator that the contract calls so; the reduction",
    },
}
"""Names that may be defined twice, by root, with the reason."""

RULES = (
    "graphs/heatproof/graphs/gradients/rules",
    "graphs/heatproof/graphs/heads/forms",
    "graphs/heatproof/graphs/masking/rules",
    "graphs/heatproof/graphs/preparation/shapes",
)
"""Folders whose functions are named after the operator that they know; so several know one."""

LONG = {
    "graphs/heatproof/graphs/inspection/inspecting.py inspect": "a line for each field it fills in",
}
"""Functions that may be long, with the reason."""


def crowded(roots: list[str]) -> Iterator[str]:
    """Folders that hold too many modules."""
    counts: dict[Path, int] = defaultdict(int)
    for path in sources(roots):
        counts[path.parent] += path.name != "__init__.py"
    for folder, count in counts.items():
        if count > FOLDER_LIMIT:
            yield f"crowded: {folder} has {count} modules"


def circles(root: str) -> Iterator[str]:
    """Packages and modules of one parent that import each other in a circle."""
    graph = grimp.build_graph(f"heatproof.{root}")
    for parent in sorted(module for module in graph.modules if graph.find_children(module)):
        children = graph.find_children(parent)
        below = {child: {child, *graph.find_descendants(child)} for child in children}
        owner = {module: child for child, modules in below.items() for module in modules}
        imported = {
            child: {
                owner[target]
                for module in modules
                for target in graph.find_modules_directly_imported_by(module)
                if target in owner and owner[target] != child
            }
            for child, modules in below.items()
        }
        try:
            TopologicalSorter(imported).prepare()
        except CycleError as error:
            yield f"circle: {' -> '.join(error.args[1])}"


def doubles(root: str) -> Iterator[str]:
    """Public names that several modules of a root define at their top level."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in sources([root]):
        if str(path).startswith(RULES):
            continue
        for name in defined(ast.parse(path.read_text(encoding="utf-8"))):
            places[name].append(str(path.with_suffix("")).replace(f"{root}/heatproof/{root}/", ""))
    for name, found in sorted(places.items()):
        if len(found) > 1 and name not in TWICE.get(root, {}):
            yield f"twice: {root} defines {name} in {', '.join(found)}"


def defined(module: ast.Module) -> Iterator[str]:
    """Public names of classes, functions and constants.

    Not those of type variables, nor of functions that a decorator files in a table or a command
    line under their own names, such as a rule for an operator.
    """
    for node in module.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            is_filed = isinstance(node, ast.FunctionDef) and bool(node.decorator_list)
            names = [] if is_filed else [node.name]
        elif isinstance(node, ast.Assign):
            is_variable = (
                isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in VARIABLES
            )
            names = [] if is_variable else [t.id for t in node.targets if isinstance(t, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            names = []
        yield from (name for name in dict.fromkeys(names) if not name.startswith("_"))


def long_functions(roots: list[str]) -> Iterator[str]:
    """Functions whose bodies are too long to be seen at once."""
    for path in sources(roots):
        for function in functions(path):
            place = f"{path} {function.place.rpartition(' ')[2]}"
            if function.lines > FUNCTION_LIMIT and place not in LONG:
                yield f"long: {function.place} has {function.lines} lines"


def main(roots: list[str]) -> int:
    """Prints all that was found; 1 if there is anything."""
    found = [*crowded([*roots, "tests"]), *long_functions(roots)]
    for root in roots:
        found += [*circles(root), *doubles(root)]
    for line in found:
        print(line)
    print(f"structure: {len(found)} findings in {', '.join(roots)}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
