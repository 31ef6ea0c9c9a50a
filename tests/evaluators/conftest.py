import sys
from pathlib import Path

# importlib mode imports no siblings by itself; the toys are shared by all files here.
sys.path.insert(0, str(Path(__file__).parents[2]))
