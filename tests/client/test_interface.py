import pytest

import heatproof.client
from heatproof.client import interface


def test_the_package_hands_out_every_public_name() -> None:
    for name in interface.__all__:
        assert getattr(heatproof.client, name) is getattr(interface, name)
    assert set(dir(heatproof.client)) >= {*interface.__all__, "__version__"}


def test_a_name_that_is_not_there_is_missed_in_the_package() -> None:
    with pytest.raises(AttributeError, match=r"'heatproof\.client' has no attribute 'Clinet'"):
        heatproof.client.Clinet  # type: ignore[attr-defined]  # noqa: B018  # what is tested
