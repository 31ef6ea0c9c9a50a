"""Holds functions and dataclasses of a package to the arrays that their annotations name.

jaxtyping's own import hook wraps every function, and closures anew each time that they are made,
so that an evaluation takes ten times as long. What names no array is left to the type checkers
here, and so are closures.
"""

import ast
import inspect
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any, TypeVar, get_args

from beartype import beartype
from jaxtyping import AbstractArray, jaxtyped

T = TypeVar("T", bound=type[Any] | Callable[..., Any])

_DECORATOR = "_checked_arrays"


def install(package: str) -> None:
    """Checks the modules of a package that are imported from now on.

    Raises:
        RuntimeError: the package has been imported already, and would go unchecked.
    """
    if package in sys.modules:
        message = f"{package} is imported already: install the checks before"
        raise RuntimeError(message)
    sys.meta_path.insert(0, _Finder(package))


def checked(thing: T) -> T:
    """The function or class, wrapped if its annotations name an array."""
    annotations: dict[str, Any] = getattr(thing, "__annotations__", {})
    if not any(map(_names_an_array, annotations.values())):
        return thing
    wrapped: T = jaxtyped(typechecker=beartype)(thing)
    return wrapped


def _names_an_array(annotation: Any) -> bool:
    if inspect.isclass(annotation) and issubclass(annotation, AbstractArray):
        return True
    return any(map(_names_an_array, get_args(annotation)))


class _Finder(MetaPathFinder):
    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Finds modules of the package as usual, to be loaded with their checks."""
        if name != self._package and not name.startswith(f"{self._package}."):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002  # the loader knows one module
        """Decorates the source; there is no bytecode, which would stand for the plain module."""
        tree = _Decorated().visit(ast.parse(self.get_data(self.path), self.path))
        code: CodeType = compile(tree, self.path, "exec", dont_inherit=True)
        return code

    def exec_module(self, module: ModuleType) -> None:
        """Runs the module with the decorator at hand."""
        setattr(module, _DECORATOR, checked)
        super().exec_module(module)


class _Decorated(ast.NodeTransformer):
    """Decorates the classes and functions of a module and of those classes."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:  # named by ast
        """A class after `@dataclass` has made its methods."""
        node.decorator_list.insert(0, _decorator(node))
        self.generic_visit(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:  # as above
        """A function before `@property` hides it; closures inside are left as they are."""
        node.decorator_list.append(_decorator(node))
        return node


def _decorator(node: ast.ClassDef | ast.FunctionDef) -> ast.expr:
    return ast.fix_missing_locations(ast.copy_location(ast.Name(_DECORATOR, ast.Load()), node))
