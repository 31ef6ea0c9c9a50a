"""What keeps a model from being rewritten."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Blocker:
    """A node that has no sound rule.

    Attributes:
        node: name of the node.
        operator: domain, type and version, such as `RoiAlign-16`.
        reason: what is wrong with it and the way out.
    """

    node: str
    operator: str
    reason: str
