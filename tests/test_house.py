"""The rooms of the package: arrows run downward only, and a new file is found by itself."""

import importlib.util
import re

import pytest
from helpers import ROOT

#: from the bottom up; a room imports rooms below its own line only
LAYERS = (
    {'core'},
    {'io', 'physics'},
    {'build'},
    {'distill', 'text'},
    {'methods', 'models', 'datasets'},
    {'evaluation', 'engine', 'costs', 'restore', 'convert'},
    {'runs'},
    {'leaderboard', 'robustness', 'check', 'export', 'visualize'},
    {'benchmarks'},
    {'commands'},
)


@pytest.fixture(scope='module')
def site():
    pytest.importorskip('mkdocs', reason="pip install -e '.[docs]'")
    spec = importlib.util.spec_from_file_location('site_of_docs', ROOT / 'docs/site.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_arrows_run_downward(site):
    level = {room: i for i, layer in enumerate(LAYERS) for room in layer}
    found = site.arrows()
    assert set(level) == {*found, *(other for own in found.values() for other in own)}, 'a room without a place'
    wrong = [
        example for room, own in found.items() for other, examples in own.items() if level[other] >= level[room] for example in examples
    ]
    assert not wrong


def test_methods_import_no_method(site):
    for file in (ROOT / 'vkd/methods').glob('*.py'):
        assert not [line for line in file.read_text().splitlines() if line.startswith('from .') and not line.startswith('from ..')], (
            file.name
        )


def test_the_table_of_rooms_is_made_from_the_code(site):
    table = site.rooms()
    assert '| [`methods`](../vkd/methods) |' in table and '`distill`' in table.split('[`methods`]')[1].splitlines()[0]
    assert all(f'[`{room}`]' in table for layer in LAYERS for room in layer if room != 'core')


def test_no_test_module_imports_another():
    for file in (ROOT / 'tests').rglob('*.py'):
        assert not re.findall(r'^ *(?:from|import) test_\w+', file.read_text(encoding='utf-8'), re.M), (
            f'{file.name}: share it in tests/helpers'
        )


@pytest.mark.parametrize('room', ['methods', 'models', 'models/heads', 'datasets', 'evaluation'])
def test_a_new_file_registers_itself(room):
    assert 'import_all(__name__, __path__)' in (ROOT / 'vkd' / room / '__init__.py').read_text()


@pytest.mark.parametrize(
    'old, name', [('align', 'align_size'), ('networks', 'build_model'), ('building', 'build'), ('peers', 'PeerMethod')]
)
def test_old_names_work_for_one_version(old, name):
    import vkd  # noqa: F401

    with pytest.warns(DeprecationWarning, match=f'vkd.{old} is now vkd'):
        module = __import__(f'vkd.{old}', fromlist=[name])
        assert getattr(module, name)
