"""Tests against libraries that have an environment of their own: `make plugins`.

Elsewhere their tests are not collected; `make plugins` fails if there are none.
"""

from importlib.util import find_spec

NEEDED = {
    "test_libraries.py": ("captum", "pytorch_grad_cam", "torchcam", "maite"),
    "test_mlflow.py": ("mlflow",),
    "test_pages.py": ("captum", "pytorch_grad_cam", "torchcam", "mlflow"),
}

collect_ignore = [name for name, libraries in NEEDED.items() if not all(map(find_spec, libraries))]
