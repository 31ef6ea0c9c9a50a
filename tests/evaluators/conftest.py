import sys
from pathlib import Path

# importlib mode imports no sibling modules; the toys are shared by all files here.
sys.path.insert(0, str(Path(__file__).parent))
