"""Starts a worker: `python -P -m heatproof.server.workers DESCRIPTOR THREADS NICENESS`."""

import sys
from multiprocessing.connection import Connection

from heatproof.server.workers.process import serve

if __name__ == "__main__":
    descriptor, threads, niceness = map(int, sys.argv[1:])
    serve(Connection(descriptor), threads=threads, niceness=niceness)
