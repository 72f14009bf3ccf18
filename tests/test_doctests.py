"""Examples in docstrings of public pure functions."""

import doctest
from importlib import import_module

import pytest

MODULES = [
    'vkd.build.identity',
    'vkd.distill.align',
    'vkd.distill.peers',
    'vkd.distill.taps',
    'vkd.errors',
    'vkd.io.console',
    'vkd.io.files',
    'vkd.leaderboard.scatter',
    'vkd.physics.hounsfield',
    'vkd.runs.tuning',
]


@pytest.mark.parametrize('name', MODULES)
def test_examples(name):
    found = doctest.testmod(import_module(name))
    assert found.attempted and not found.failed
