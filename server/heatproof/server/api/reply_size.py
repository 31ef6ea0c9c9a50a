"""How large a reply may be."""

from typing import Final

MAX_REPLY_BYTES: Final = 3_670_016
"""3.5 MiB: no reply is larger, since every client takes 4 MiB by default."""
