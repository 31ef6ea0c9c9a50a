"""How many predictions of a shard were known, so that no pass was run for them."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0005"
down_revision: Final = "0004"


def upgrade() -> None:
    """Counts them; of earlier shards none was."""
    known = sa.Column("known", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("shards", known)
