import importlib.util
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.apis import inference_model, init_model
from mmseg.registry import MODELS as MMSEG

from vkd import UserError
from vkd.build import built as building
from vkd.commands.line import command
from vkd.export.student import export, plain_config, sha256, to_onnx

TOOLS = Path(__file__).parent.parent / 'tools'
PREPROCESSOR = dict(
    type='mmseg.SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True, size=(64, 96)
)
HEAD = dict(channels=8, num_classes=3, norm_cfg=dict(type='BN'), align_corners=False)


def segmentor(backbone, head, **more):
    return dict(
        type='mmseg.EncoderDecoder',
        data_preprocessor=PREPROCESSOR,
        backbone=backbone,
        decode_head=dict(HEAD, **head),
        test_cfg=dict(mode='whole'),
        **more,
    )


def mit(width=8):
    return segmentor(
        dict(
            type='mmseg.MixVisionTransformer',
            embed_dims=width,
            num_stages=2,
            num_layers=[1] * 2,
            num_heads=[1] * 2,
            patch_sizes=[7, 3],
            strides=[4, 2],
            sr_ratios=[2, 1],
            out_indices=(0, 1),
        ),
        dict(type='mmseg.SegformerHead', in_channels=[width] * 2, in_index=[0, 1]),
    )


def resnet():
    return segmentor(
        dict(
            type='mmseg.ResNetV1c',
            depth=18,
            base_channels=8,
            norm_cfg=dict(type='BN'),
            init_cfg=dict(type='Pretrained', checkpoint='hub://nowhere'),
        ),
        dict(type='mmseg.FCNHead', in_channels=64, in_index=3, num_convs=1),
        pretrained='hub://nowhere',
        auxiliary_head=dict(HEAD, type='mmseg.FCNHead', in_channels=32, in_index=2, num_convs=1),
    )


def lite():
    return segmentor(
        dict(type='mmseg.TIMMBackbone', model_name='tf_efficientnet_lite0', features_only=True, pretrained=False, out_indices=(1, 2, 3, 4)),
        dict(type='mmseg.FPNHead', in_channels=[16] * 4, in_index=[0, 1, 2, 3], feature_strides=[4, 8, 16, 32]),
        neck=dict(type='mmseg.FPN', in_channels=[24, 40, 112, 320], out_channels=16, num_outs=4),
    )


def config(model, path, dataset=None):
    steps = [dict(type='mmseg.LoadAnnotations') if k else dict(type='LoadImageFromFile') for k in (0, 1)] + [
        dict(type='mmseg.PackSegInputs')
    ]
    dataset = dataset or dict(
        type='mmseg.BaseSegDataset',
        data_root='somewhere',
        metainfo=dict(classes=('a', 'b', 'c'), palette=[[0] * 3, [1] * 3, [2] * 3]),
        pipeline=steps,
    )
    cfg = Config(
        dict(
            default_scope='mmseg',
            model=model,
            test_dataloader=dict(batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False), dataset=dataset),
        )
    )
    cfg.dump(path)
    return Config.fromfile(path)


def trained(cfg, path):
    """A model of ``cfg`` with weights, statistics too, that no initialisation gives; and its checkpoint."""
    without_weights = cfg.copy()
    student = without_weights.model.get('student', without_weights.model)
    student.pop('pretrained', None), student.backbone.pop('init_cfg', None)
    model = building.build(without_weights)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.mul_(1 + 0.2 * torch.rand(value.shape, generator=random)).add_(0.02 * torch.rand(value.shape, generator=random))
    torch.save(dict(state_dict=model.state_dict(), meta=dict(iter=7), optimizer={}), path)
    return model.eval()


@pytest.mark.parametrize('make', [mit, resnet, lite])
def test_the_student_in_plain_mmseg_and_in_onnxruntime(make, tmp_path):
    cfg = config(dict(type='vkd.Distiller', student=make(), teacher=mit(16), methods=[dict(type='KL')]), tmp_path / 'kl_small.py')
    model = trained(cfg, tmp_path / 'iter_7.pth')
    (tmp_path / 'metrics.json').write_text('{"test": {"mIoU": 51.2}}')
    content = export(cfg, tmp_path / 'iter_7.pth', tmp_path / 'out', onnx=True, shape=(64, 96))
    stem = tmp_path / 'out' / 'kl_small_student'

    text = Path(f'{stem}.py').read_text()
    assert 'vkd' not in text.replace('kl_small', '').split('\n', 1)[1] and 'nowhere' not in text
    plain = Config.fromfile(f'{stem}.py')
    with DefaultScope.overwrite_default_scope('mmseg'):
        network = MMSEG.build(plain.model).eval()
    network.load_state_dict(torch.load(f'{stem}.pth', weights_only=True)['state_dict'], strict=True)
    image = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        logits = model(image)
        assert torch.equal(network(image), logits)
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    ours = init_model(f'{stem}.py', f'{stem}.pth', device='cpu')
    seen = inference_model(ours, picture)
    with torch.no_grad():
        sample = seen.new(data={})
        wanted = model.test_step(dict(inputs=[torch.from_numpy(picture).permute(2, 0, 1)], data_samples=[sample]))[0]
    assert torch.equal(seen.seg_logits.data, wanted.seg_logits.data) and list(ours.dataset_meta['classes']) == ['a', 'b', 'c']

    session = onnxruntime.InferenceSession(f'{stem}.onnx')
    sizes = [(64, 96)] + [(96, 160)] * (content['onnx']['size'] == 'any')
    assert len(sizes) == (1 if make is lite else 2)  # lite's padding depends on the size of the map
    for size in sizes:
        image = torch.randn(3, 3, *size)
        with torch.no_grad():
            logits = torch.nn.functional.interpolate(model(image), size=size, mode='bilinear')
        np.testing.assert_allclose(
            session.run(None, dict(image=image.numpy()))[0], logits.numpy(), atol=1e-4 * max(1, logits.abs().max().item()), rtol=0
        )

    assert json.loads(Path(f'{stem}.json').read_text()) == content
    assert content['matched'] == content['tensors'] == len(network.state_dict()) and content['metrics']['test']['mIoU'] == 51.2
    assert content['checkpoint_sha256'] == sha256(tmp_path / 'iter_7.pth') and content['files']['kl_small_student.pth'] == sha256(
        f'{stem}.pth'
    )
    assert content['input']['mean'] == PREPROCESSOR['mean'] and content['input']['channels'] == 'RGB' and not content['needs_vkd']


def test_a_plain_run_by_the_command(tmp_path, capsys):
    (tmp_path / 'my_run').mkdir()
    cfg = config(mit(), tmp_path / 'my_run' / 'config.py')
    model = trained(cfg, tmp_path / 'plain.pth')
    spec = importlib.util.spec_from_file_location('tools_export', TOOLS / 'export.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    command(tool.main, tool.arguments(), [cfg.filename, str(tmp_path / 'plain.pth'), '--out', str(tmp_path / 'out')])
    assert [Path(line).name for line in capsys.readouterr().out.split()] == [
        'my_run_student.pth',
        'my_run_student.py',
        'my_run_student.json',
    ]
    state = torch.load(tmp_path / 'out/my_run_student.pth', weights_only=True)['state_dict']
    assert all(torch.equal(state[k], v) for k, v in model.state_dict().items()) and len(state) == len(model.state_dict())


@pytest.mark.parametrize(
    'wrong, told',
    [
        (lambda: mit(16), 'tensors'),
        (
            lambda: segmentor(
                mit()['backbone'],
                mit()['decode_head'],
                auxiliary_head=dict(HEAD, type='mmseg.FCNHead', in_channels=8, in_index=1, num_convs=1),
            ),
            'auxiliary_head',
        ),
        (None, 'does not exist'),
    ],
)
def test_a_wrong_checkpoint_is_refused_before_anything_is_written(tmp_path, wrong, told):
    cfg = config(mit(), tmp_path / 'small.py')
    if wrong:
        trained(config(wrong(), tmp_path / 'other.py'), tmp_path / 'other.pth')
    with pytest.raises(UserError, match=told) as error:
        export(cfg, tmp_path / 'other.pth', tmp_path / 'out')
    assert '\n' not in str(error.value) and not (tmp_path / 'out').exists()


def test_a_student_of_mmsegs_own_configs_asks_for_no_download(tmp_path):
    model = dict(
        type='vkd.Distiller',
        student=dict(cfg='mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py', checkpoint='b0.pth'),
        methods=[],
        data_preprocessor=PREPROCESSOR,
    )
    out = plain_config(config(model, tmp_path / 'b0.py'))
    assert (
        out.model.type == 'EncoderDecoder'
        and out.model.backbone.embed_dims == 32
        and out.model.data_preprocessor.mean == PREPROCESSOR['mean']
    )
    assert 'http' not in out.pretty_text and 'Pretrained' not in out.pretty_text and 'checkpoint' not in out.model


def test_parts_of_vkd_give_way_to_the_mm_parts_they_build_on(tmp_path):
    camvid = dict(
        type='vkd.CamVidDataset',
        split='test',
        pipeline=[dict(type='vkd.LoadImage'), dict(type='Resize', scale=(96, 64)), dict(type='vkd.LoadLabel'), dict(type='PackSegInputs')],
    )
    out = plain_config(config(mit(), tmp_path / 'a.py', camvid))
    assert (
        [t.type for t in out.test_pipeline] == ['LoadImageFromFile', 'Resize', 'PackSegInputs']
        and 'test_dataloader' not in out
        and 'custom_imports' not in out
    )
    demo = dict(type='vkd.DemoDataset', split='test', pipeline=[dict(type='vkd.DrawScene'), dict(type='PackSegInputs')])
    assert [t.type for t in plain_config(config(mit(), tmp_path / 'b.py', demo)).test_pipeline] == ['LoadImageFromFile', 'PackSegInputs']
    mm = plain_config(config(mit(), tmp_path / 'c.py'))
    assert [t.type for t in mm.test_dataloader.dataset.pipeline] == [
        'LoadImageFromFile',
        'LoadAnnotations',
        'PackSegInputs',
    ] and mm.test_evaluator.type == 'IoUMetric'


def test_a_graph_that_is_wrong_at_another_size_does_not_claim_it():
    class Baked(torch.nn.Module):
        """Uses a Python number of the traced size, which the tracing exporter freezes without a word."""

        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 2, 1)

        def forward(self, x):
            return self.conv(x) * float(int(x.shape[-1]))

    model = Baked().eval()
    graph, facts = to_onnx(model, (8, 8))
    assert facts['exporter'] == 'dynamo' or facts['size'] == [8, 8]
    if facts['size'] == 'any':
        image = torch.randn(1, 3, 24, 40)
        np.testing.assert_allclose(
            onnxruntime.InferenceSession(graph).run(None, dict(image=image.numpy()))[0], model(image).detach().numpy(), atol=1e-2
        )


@pytest.mark.parametrize('theirs', [[0.0, np.nan], [0.0, 5.0], [0.0]], ids=['nan', 'another value', 'another shape'])
def test_a_graph_that_differs_is_never_kept(theirs, monkeypatch):
    """Of several images in any order: python's own max would lose a nan that comes second."""

    class Session:
        runs = iter([[0.0, 0.0], theirs] * 100)

        def __init__(self, *args, **kwargs):
            pass

        def run(self, names, inputs):
            own = np.zeros((len(inputs['image']), 2, *inputs['image'].shape[-2:]), np.float32)
            found = np.array(next(self.runs), np.float32)
            return [own + found[:, None, None] if len(found) == 2 else own[:, :1]]

    monkeypatch.setattr(onnxruntime, 'InferenceSession', Session)
    model = torch.nn.Conv2d(3, 2, 1)
    torch.nn.init.zeros_(model.weight), torch.nn.init.zeros_(model.bias)
    with pytest.raises(UserError, match='differs by'):
        to_onnx(model.eval(), (8, 8))


def test_modules_of_ones_own_go_with_the_export(tmp_path, monkeypatch):
    (tmp_path / 'my_head.py').write_text(
        'from mmseg.models.decode_heads import SegformerHead\nfrom mmseg.registry import MODELS\n\n\n'
        '@MODELS.register_module(force=True)\nclass MyHead(SegformerHead):\n    pass\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    own = mit()
    own['decode_head'] = dict(own['decode_head'], type='MyHead')
    importlib.import_module('my_head')
    cfg = config(dict(type='vkd.Distiller', student=own, methods=[]), tmp_path / 'c.py')
    cfg.custom_imports = dict(imports=['vkd', 'my_head'], allow_failed_imports=False)
    torch.save(building.build(cfg).state_dict(), tmp_path / 'iter_1.pth')
    content = export(cfg, tmp_path / 'iter_1.pth', tmp_path / 'out')
    assert content['needs_modules'] == ['my_head'] and not content['needs_vkd']
    assert Config.fromfile(tmp_path / 'out/c_student.py').custom_imports.imports == ['my_head']
