"""The codes of errors: each is explained, each is used, and they survive the way out of a worker process."""

import ast
import pickle

import pytest
from helpers import ROOT

from vkd import UserError
from vkd.errors import CODES, choice
from vkd.runs.run import Busy


def used_codes():
    """Every ``code='…'`` of the package."""
    for file in (ROOT / 'vkd').rglob('*.py'):
        for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Call):
                yield from (k.value.value for k in node.keywords if k.arg == 'code' and isinstance(k.value, ast.Constant))


def test_every_code_is_explained_and_used():
    used = list(used_codes())
    assert set(used) == set(CODES) and len(used) > 50


@pytest.mark.parametrize('kind', [UserError, Busy])
def test_a_code_survives_pickling(kind):
    again = pickle.loads(pickle.dumps(kind('x is y; fix it.', code='busy')))
    assert (type(again), str(again), again.code) == (kind, 'x is y; fix it.', 'busy')


def test_an_error_without_a_code():
    assert UserError('x is y; fix it.').code is None and UserError().args == ('',)


def test_a_choice_names_its_code():
    with pytest.raises(UserError, match='nearest') as error:
        choice('KL', 'align', 'studnt', ('student', 'teacher'))
    assert error.value.code == 'unknown-choice'
