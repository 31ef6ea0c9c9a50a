"""Runs programs one after the other as a notebook would: one namespace, `await` at the top.

`python -m tests.system.docs.notebook FILE` reads [page, line, code] of each program as JSON.
"""

import ast
import asyncio
import inspect
import json
import sys
from pathlib import Path
from typing import Any


def main(programs: list[tuple[str, int, str]]) -> None:
    """Runs the programs; a traceback names the page and its line."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for page, line, code in programs:
        source = "\n" * line + code
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        done = eval(compile(source, page, "exec", flags), namespace)  # noqa: S307  # our own pages
        if inspect.iscoroutine(done):
            asyncio.run(done)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
