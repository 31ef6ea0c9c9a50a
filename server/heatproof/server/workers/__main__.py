"""Starts a worker: `python -P -m heatproof.server.workers DESCRIPTOR`."""

import sys
from multiprocessing.connection import Connection

from heatproof.server.workers.process import serve

if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
