"""Groups of images: checked while the images arrive."""

from dataclasses import dataclass, field

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.server.workers.inputs import StoredImage


@dataclass(slots=True)
class GroupCheck:
    """Refuses groups that leave the unit of sampling open.

    Either every image of a set has a group or none has, and images of equal bytes share theirs.
    """

    _by_digest: dict[str, tuple[int, str]] = field(default_factory=dict)
    _first: str | None = None

    def add(self, index: int, image: StoredImage) -> None:
        """Checks the next image.

        Raises:
            InvalidArgumentError: its group does not fit to those before; names its field.
        """
        if self._first is None:
            self._first = image.group
        if bool(image.group) != bool(self._first):
            with_group, without = (index, 0) if image.group else (0, index)
            raise InvalidArgumentError(
                f"image {with_group} has a group and image {without} has none; give every image "
                "of the set a group, or none",
                field=f"images[{index}].group",
            )
        earlier, group = self._by_digest.setdefault(image.digest, (index, image.group))
        if group != image.group:
            raise InvalidArgumentError(
                f"image {index} has the bytes of image {earlier}, but the group {image.group!r} "
                f"and not {group!r}; equal images belong to one group",
                field=f"images[{index}].group",
            )
