"""Runs the command: `python -m heatproof.client`."""

from heatproof.client.command import main

if __name__ == "__main__":
    main()
