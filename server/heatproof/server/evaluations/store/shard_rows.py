"""Finished shards as rows of several tables."""

from dataclasses import asdict

from sqlalchemy import Connection, insert

from heatproof.server.evaluations.store.records import ShardRows
from heatproof.server.evaluations.store.tables import image_results, score_columns, shards


def add_shard(connection: Connection, number: int, rows: ShardRows) -> None:
    """Stores a shard of an evaluation with its images and columns."""
    shard = {
        "evaluation": number,
        "shard": rows.shard,
        "images": len(rows.images),
        "predictions": rows.predictions,
        "seconds": rows.seconds,
        "known": rows.known,
    }
    images = [
        {"evaluation": number, "position": position, "shard": rows.shard, **asdict(image)}
        for position, image in zip(rows.positions, rows.images, strict=False)  # it may be cut
    ]
    connection.execute(insert(shards).values(shard))
    if images:
        connection.execute(insert(image_results), images)
    columns = [
        {"evaluation": number, "block": block, "shard": rows.shard, "data": data}
        for block, data in enumerate(rows.columns)
    ]
    if columns:
        connection.execute(insert(score_columns), columns)
