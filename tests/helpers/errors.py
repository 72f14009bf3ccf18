"""Errors that tests tell by their code, where the sentence is not the point."""

from contextlib import contextmanager

import pytest

from vkd import UserError
from vkd.errors import CODES


@contextmanager
def fails(code, naming=None):
    """Within, a UserError of the kind ``code`` must be raised; ``naming`` is a regular expression for what its sentence must name."""
    assert code in CODES, f'{code!r} is no code of vkd.errors.CODES'
    with pytest.raises(UserError, match=naming) as found:
        yield found
    assert found.value.code == code, f'{found.value.code}: {found.value}'
