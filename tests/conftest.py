import os
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # so that tests find their helpers
pytest.register_assert_rewrite('helpers')


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marks
def pytest_collection_modifyitems(items):
    """Whatever asks for a fixture with real data is marked ``data``; what is marked ``gpu`` runs where there is one."""
    for item in items:
        if {'camvid', 'zegclip', 'sr_data', 'ct_data'} & set(getattr(item, 'fixturenames', ())):
            item.add_marker(pytest.mark.data)
        if item.get_closest_marker('gpu') and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason='needs a GPU'))


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """One thread (the networks are tiny), no variables of the caller's own, mmengine's singletons fresh."""
    torch.set_num_threads(1)
    for name in ('VKD_DATA_ROOT', 'VKD_VERBOSE', 'RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'):
        monkeypatch.delenv(name, raising=False)
    from mmengine.logging import MessageHub, MMLogger
    from mmengine.visualization import Visualizer

    for kind in (MMLogger, MessageHub, Visualizer):
        kind._instance_dict.clear()


_DATA = os.environ.get('VKD_DATA_ROOT')


@pytest.fixture
def camvid(monkeypatch):
    """The real CamVid, where VKD_DATA_ROOT has it."""
    if not _DATA or not Path(_DATA, 'camvid').is_dir():
        pytest.skip('real data: set VKD_DATA_ROOT to a folder with camvid/')
    monkeypatch.setenv('VKD_DATA_ROOT', _DATA)
    return 'data/camvid'


@pytest.fixture
def zegclip():
    """The text embeddings that ZegCLIP publishes, where VKD_DATA_ROOT has them."""
    folder = Path(_DATA or '', 'text_embeddings/zegclip')
    if not _DATA or not folder.is_dir():
        pytest.skip('real data: set VKD_DATA_ROOT to a folder with text_embeddings/zegclip/')
    return folder


@pytest.fixture
def sr_data(monkeypatch):
    """Folder of real super-resolution images, where VKD_DATA_ROOT has it."""
    if not _DATA or not Path(_DATA, 'sr').is_dir():
        pytest.skip('real data: set VKD_DATA_ROOT to a folder with sr/')
    monkeypatch.setenv('VKD_DATA_ROOT', _DATA)
    return Path(_DATA, 'sr')


@pytest.fixture
def ct_data(monkeypatch):
    """Folder of real CT slices, where VKD_DATA_ROOT has it."""
    if not _DATA or not Path(_DATA, 'ct').is_dir():
        pytest.skip('real data: set VKD_DATA_ROOT to a folder with ct/')
    monkeypatch.setenv('VKD_DATA_ROOT', _DATA)
    return Path(_DATA, 'ct')
