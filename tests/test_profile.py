import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from torch import nn

from vkd import METHODS, Distiller, costs
from vkd.benchmarks import QUESTIONS, counting, steps
from vkd.build import built as building
from vkd.runs.provenance import git_state, hardware, versions


def segmentor(width, classes=5):
    return dict(
        type='mmseg.EncoderDecoder',
        data_preprocessor=dict(type='mmseg.SegDataPreProcessor', mean=[127.5] * 3, std=[127.5] * 3, size=(32, 32)),
        backbone=dict(type='mmseg.MixVisionTransformer', embed_dims=width, num_layers=[1] * 4, num_heads=[1] * 4, drop_path_rate=0.0),
        decode_head=dict(
            type='mmseg.SegformerHead',
            in_channels=[width] * 4,
            in_index=[0, 1, 2, 3],
            channels=8,
            num_classes=classes,
            dropout_ratio=0.0,
            norm_cfg=dict(type='BN'),
            align_corners=False,
        ),
        test_cfg=dict(mode='whole'),
    )


def config(*methods, teacher=True, size=(32, 32)):
    model = dict(type='vkd.Distiller', student=segmentor(8), methods=list(methods), **(dict(teacher=segmentor(16)) if teacher else {}))
    return Config(
        dict(
            model=model,
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
            default_scope='mmseg',
            train_dataloader=dict(
                batch_size=2,
                sampler=dict(type='DefaultSampler'),
                dataset=dict(
                    type='BaseSegDataset',
                    data_root='nowhere',
                    data_prefix=dict(img_path='i', seg_map_path='l'),
                    pipeline=[dict(type='RandomCrop', crop_size=size)],
                ),
            ),
        )
    )


def test_params_and_flops_by_hand():
    conv = nn.Conv2d(3, 8, 3, padding=1)
    assert costs.params_flops(conv, (3, 10, 6)) == (3 * 8 * 9 + 8, 2 * 10 * 6 * 8 * 27)

    class Tokens(nn.Module):  # eval mode would take a fused kernel that no counter sees into
        def __init__(self):
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

        def forward(self, x):
            return self.layer(x.flatten(2).transpose(1, 2))

    n, d, f = 4, 8, 16
    assert costs.params_flops(Tokens(), (8, 2, 2))[1] == 2 * (n * d * 3 * d + 2 * n * n * d + n * d * d + 2 * n * d * f)


def test_a_profiled_model_keeps_its_mode():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout())
    model[1].eval()
    before = copy.deepcopy(model.state_dict())
    assert costs.latency_ms(model, (3, 4, 4), rounds=2, warmup=0) > 0
    assert [m.training for m in model.modules()] == [True, True, False]
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_interleaved_order_and_ratios(monkeypatch):
    order, now = [], [0.0]
    monkeypatch.setattr('vkd.costs.steps.clock', lambda device=None: now[0])

    def case(name, *seconds):
        left = list(seconds)

        def call():
            order.append(name)
            now[0] += left.pop(0)
            return dict(half=0.5)

        return call

    out = costs.interleaved(dict(a=case('a', 9.0, 1.0, 2.0, 4.0), b=case('b', 9.0, 3.0, 4.0, 4.0)), rounds=3)
    assert ''.join(order) == 'abababab'
    assert out['a']['ratio'] == 1 and out['a']['seconds'] == 2 and out['a']['times'] == [1.0, 2.0, 4.0]
    # paired in each round: 3, 2, 1; the ratio of the medians would hide the pairing only by chance
    assert out['b']['ratio'] == 2 and (out['b']['low'], out['b']['high']) == (1.5, 2.5) and out['b']['parts'] == dict(half=0.5)


@pytest.mark.parametrize('task_weight', [1.0, 0.5, 0.0])
def test_a_step_taken_apart_is_the_step(task_weight):
    cfg = config(
        dict(type='KL'),
        dict(type='AT'),
        dict(type='FitNet', student='backbone[3]', teacher='backbone[3]'),
        dict(type='MGD', student='decode_head.conv_seg', teacher='backbone[0]', loss_weight=1e-2),
    )
    cfg.model.task_weight = task_weight
    one = building.build(cfg)
    two = building.build(cfg)
    two.load_state_dict(one.state_dict())
    for name, module in one.teachers.items():
        two.teachers[name].load_state_dict(module.state_dict())
    start = copy.deepcopy(one.state_dict())
    batch = building.synthetic_batch((2, 3, 32, 32), 5)
    torch.manual_seed(1)
    one.train_step(batch, OptimWrapper(torch.optim.SGD(one.parameters(), 0.1)))
    torch.manual_seed(1)
    parts = costs.step_parts(two, batch, OptimWrapper(torch.optim.SGD(two.parameters(), 0.1)))
    assert set(parts) == {'data', 'student', 'teacher', 'loss', 'total'} and all(v > 0 for v in parts.values())
    assert parts['total'] == pytest.approx(sum(v for k, v in parts.items() if k != 'total'))
    ours, theirs = one.state_dict(), two.state_dict()
    assert any(not torch.equal(start[k], v) for k, v in ours.items())
    for key, value in ours.items():
        torch.testing.assert_close(theirs[key], value, rtol=1e-4, atol=1e-6, msg=key)


def test_memory_grows_with_the_batch():
    model = Config(dict(m=dict(segmentor(8), data_preprocessor=dict(segmentor(8)['data_preprocessor'], size=(128, 128))))).m.to_dict()
    optim = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
    small, large = (costs.peak_memory(model, optim, (b, 3, 128, 128), 5) for b in (1, 16))
    # 15 more float images in the input alone
    assert large - small > 15 * 3 * 128 * 128 * 4


def test_suite_profile_without_data():
    content = costs.suite_profile(
        {
            's|t|KL': config(dict(type='KL')),
            's|t|AT': config(dict(type='AT')),
            's|-|alone': config(teacher=False),
            't|-|teacher': config(teacher=False),
        },
        rounds=1,
    )
    assert list(content['steps']) == ['s|-|alone', 's|t|KL', 's|t|AT'] and content['steps']['s|-|alone']['ratio'] == 1
    assert content['steps']['s|t|KL']['data'] == 'synthetic' and content['steps']['s|t|KL']['shape'] == [2, 3, 32, 32]
    student = Distiller(segmentor(8)).student
    assert set(content['models']) == {'s', 't'} and content['models']['s']['params'] == sum(p.numel() for p in student.parameters())
    assert content['models']['s']['shape'] == [3, 32, 32] and content['models']['s']['flops'] > 0


def test_provenance():
    assert set(hardware()) == {'cpu', 'cores', 'threads', 'memory_gib', 'gpu'} and hardware()['threads'] == torch.get_num_threads()
    assert versions()['torch'].split('+')[0] == torch.__version__.split('+')[0] and versions()['mmengine'] and versions()['vkd']
    state = git_state()
    assert set(state) == {'commit', 'dirty'} and (state['commit'] is None or len(state['commit']) == 40)


def test_benchmark_covers_every_method_and_counts_alike():
    cfg = steps.default_config()
    cfg.model.methods = [dict(type='vkd.KL', tau=3.0)]
    cases = steps.cases(cfg)
    assert set(cases) == {'alone', *METHODS.module_dict} and cases['KL'].model.methods == [dict(type='vkd.KL', tau=3.0)]
    assert 'teacher' not in cases['alone'].model and cases['FitNet'].model.methods[0].student == 'backbone[3]'
    assert counting.measure(1, 'cpu', (64, 128))['ratio'] > 0  # raises where the counts differ from mmseg's
    assert {p.stem for p in Path(steps.__file__).parent.glob('*.py')} == {'__init__', *QUESTIONS}


@pytest.mark.parametrize(
    'backbone, expected',
    [
        (dict(type='IMDN', scale=2), 158.77),
        (dict(type='IMDN', scale=3), 71.34),
        (dict(type='IMDN', scale=4), 40.89),
        (dict(type='RFDN', scale=4), 23.76),
    ],
)
def test_multiply_adds_of_super_resolution(backbone, expected):
    """An output of 1280x720; at x3 from an image of 426x240, since 1280 is no multiple of 3."""
    from vkd.registry import MODELS

    assert round(costs.multiply_adds_720p(MODELS.build(dict(type='vkd.Restorer', backbone=backbone))) / 1e9, 2) == expected
