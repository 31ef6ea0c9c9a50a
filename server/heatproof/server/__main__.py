"""Starts a server: `python -m heatproof.server`."""

from heatproof.server.starting import main

if __name__ == "__main__":
    main()
