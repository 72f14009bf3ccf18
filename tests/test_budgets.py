"""A longer run is the same config stretched: hand-worked values, and runs whose learning rate ends where it must."""

import copy

import pytest
import torch
from helpers.configs import config
from helpers.networks import distiller

from vkd import UserError
from vkd.build.budgets import stretched, stretching
from vkd.build.config import load_config
from vkd.engine import build_runner


def content(*schedules, train=None, **more):
    return dict(
        train_cfg=train or dict(type='IterBasedTrainLoop', max_iters=300, val_interval=100), param_scheduler=list(schedules), **more
    )


@pytest.mark.parametrize(
    'given, factor, want',
    [
        (
            dict(type='OneCycleLR', eta_max=1e-3, total_steps=300, pct_start=0.2, by_epoch=False),
            1.5,
            dict(type='OneCycleLR', eta_max=1e-3, total_steps=450, pct_start=0.2, by_epoch=False),
        ),
        (
            dict(type='MultiStepLR', milestones=[100, 201], gamma=0.5, by_epoch=False, end=300),
            1.5,
            dict(type='MultiStepLR', milestones=[150, 302], gamma=0.5, by_epoch=False, end=450),
        ),
        (
            dict(type='CosineAnnealingLR', T_max=300, eta_min=1e-5, begin=0, end=300, by_epoch=False),
            2,
            dict(type='CosineAnnealingLR', T_max=600, eta_min=1e-5, begin=0, end=600, by_epoch=False),
        ),
        (dict(type='ConstantLR', factor=1.0, by_epoch=False, end=300), 3, dict(type='ConstantLR', factor=1.0, by_epoch=False, end=900)),
        (dict(type='mmengine.StepLR', step_size=75, gamma=0.1), 2, dict(type='mmengine.StepLR', step_size=150, gamma=0.1)),
        (
            dict(type='CosineRestartLR', periods=[100, 200], restart_weights=[1, 0.5], eta_min=0),
            1.5,
            dict(type='CosineRestartLR', periods=[150, 300], restart_weights=[1, 0.5], eta_min=0),
        ),
        # 0.81 in two steps is 0.9 in one: the same way down in twice the steps
        (dict(type='ExponentialLR', gamma=0.81, by_epoch=False), 2, dict(type='ExponentialLR', gamma=pytest.approx(0.9), by_epoch=False)),
        # what mmengine takes for "to the end" stays it; a share of an epoch stays a share
        (dict(type='LinearLR', end=10**9), 2, dict(type='LinearLR', end=10**9)),
        (dict(type='LinearLR', end=0.5, convert_to_iter_based=True), 1.5, dict(type='LinearLR', end=0.75, convert_to_iter_based=True)),
        # a schedule of one's own, of which nothing but steps is given
        (dict(type='mine.Warm', begin=0, end=20, total_iters=20), 1.5, dict(type='mine.Warm', begin=0, end=30, total_iters=30)),
        # momentum has schedules too
        (dict(type='LinearMomentum', end=10, start_factor=0.5), 3, dict(type='LinearMomentum', end=30, start_factor=0.5)),
    ],
)
def test_every_schedule_by_hand(given, factor, want):
    before = content(given)
    kept = copy.deepcopy(before)
    assert stretched(before, factor)['param_scheduler'] == [want] and before == kept  # a pure function


def test_warm_up_and_decay_stay_side_by_side():
    schedules = [
        dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=15),
        dict(type='PolyLR', power=1.0, eta_min=0, begin=15, end=300, by_epoch=False),
    ]
    first, second = stretched(content(*schedules), 1.5)['param_scheduler']
    assert (first['begin'], first['end'], second['begin'], second['end']) == (0, 23, 23, 450)  # 22.5 is rounded up, both times
    assert first['start_factor'] == 1e-6 and second['power'] == 1.0


def test_one_schedule_and_one_list_a_role():
    one = dict(type='PolyLR', end=300, by_epoch=False)
    assert stretched(dict(content(), param_scheduler=one), 2)['param_scheduler'] == dict(one, end=600)
    both = dict(student=[one], vit=dict(type='OneCycleLR', total_steps=300))
    want = dict(student=[dict(one, end=600)], vit=dict(type='OneCycleLR', total_steps=600))
    assert stretched(dict(content(), param_scheduler=both), 2)['param_scheduler'] == want


def test_validations_checkpoints_and_averages():
    hooks = dict(
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=50, save_begin=100), logger=dict(type='LoggerHook', interval=10)
        ),
        custom_hooks=[
            dict(type='EMAHook', begin_iter=30, momentum=2e-4),
            dict(type='CheckpointHook', interval=-1),
            dict(type='RandomState'),
        ],
    )
    train = dict(type='vkd.AlternateTrainLoop', max_iters=300, val_interval=100, val_begin=200, dynamic_intervals=[(200, 20)])
    out = stretched(content(train=train, **hooks), 1.5)
    assert out['train_cfg'] == dict(train, max_iters=450, val_interval=150, val_begin=300, dynamic_intervals=[(300, 30)])
    assert out['default_hooks'] == dict(
        checkpoint=dict(type='CheckpointHook', interval=75, save_begin=150), logger=dict(type='LoggerHook', interval=10)
    )
    assert out['custom_hooks'] == [
        dict(type='EMAHook', begin_iter=45, momentum=2e-4),
        dict(type='CheckpointHook', interval=-1),
        dict(type='RandomState'),
    ]


@pytest.mark.parametrize(
    'length, every, factor, want',
    [
        (10, 3, 1.5, (15, 4)),  # at 3, 6, 9, 10: four times, and at 4, 8, 12, 15
        (25, 5, 1.5, (38, 8)),  # five times
        (20000, None, 1.5, (30000, 1500)),  # mmengine's own interval is 1000
        (300, 1000, 2, (600, 2000)),
        (10, 10, 1.7, (17, 17)),  # 1.7 is 17/10, whatever the float says
    ],
)
def test_the_number_of_validations_stays(length, every, factor, want):
    train = dict(type='IterBasedTrainLoop', max_iters=length, **(dict(val_interval=every) if every else {}))
    out = stretched(content(train=train), factor)['train_cfg']
    assert (out['max_iters'], out['val_interval']) == want


def test_epochs():
    train = dict(by_epoch=True, max_epochs=10)
    schedules = [dict(type='LinearLR', end=2), dict(type='MultiStepLR', milestones=[4, 8]), dict(type='PolyLR', end=300, by_epoch=False)]
    out = stretched(content(*schedules, train=train), 1.5)
    assert out['train_cfg'] == dict(by_epoch=True, max_epochs=15, val_interval=2)
    assert out['param_scheduler'] == [
        dict(type='LinearLR', end=3),
        dict(type='MultiStepLR', milestones=[6, 12]),
        dict(type='PolyLR', end=450, by_epoch=False),
    ]
    # of 3 epochs 1.5 times as many are 5, and a schedule in iterations ends with them, not at 450
    out = stretched(content(dict(type='PolyLR', end=300, by_epoch=False), train=dict(max_epochs=3)), 1.5)
    assert out['train_cfg']['max_epochs'] == 5 and out['param_scheduler'][0]['end'] == 500


def test_factor_one_is_the_identity():
    given = content(dict(type='NobodyKnowsIt', count=3), train=dict(max_iters=7))
    out = stretched(given, 1)
    assert out == given and out is not given and stretching(given, 1) == {}


@pytest.mark.parametrize(
    'given, told',
    [
        (
            dict(type='mine.Wave', end=300, waves=3),
            "param_scheduler.0 (Wave) cannot be stretched: it is not known whether its option 'waves'",
        ),
        (dict(type='PolyLR', end=300, last_step=7), "'last_step'"),
        (dict(type='StepLR', step_size=3, power=2), "'power'"),
        (dict(type='ReduceOnPlateauLR'), 'follows the scores'),
    ],
)
def test_what_cannot_be_stretched_is_named(given, told):
    with pytest.raises(UserError) as error:
        stretched(content(given), 1.5)
    assert told in str(error.value) and 'give' in str(error.value)


def test_a_run_without_a_length_is_named():
    with pytest.raises(UserError, match='neither max_iters nor max_epochs'):
        stretched(dict(train_cfg=dict(by_epoch=False)), 2)


WARM_POLY = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=4, by_epoch=False),
    dict(type='PolyLR', eta_min=1e-4, begin=4, end=12, by_epoch=False),
]


@pytest.mark.parametrize(
    'schedules, want',
    [
        # a 25th of 1e-3 at first; at the last of 18 steps a ten-thousandth of that
        ([dict(type='OneCycleLR', eta_max=1e-3, total_steps=12, by_epoch=False)], {0: 4e-5, 17: 4e-9}),
        # 0.1 of 1e-3 at first, all of it at the end of the warm-up (step 5 of 6), then down a line of 11 steps
        (WARM_POLY, {0: 1e-4, 5: 1e-3, 6: 1e-3, 17: 1e-4}),
        (
            [dict(type='MultiStepLR', milestones=[4, 8], gamma=0.1, by_epoch=False)],
            {0: 1e-3, 5: 1e-3, 6: 1e-4, 11: 1e-4, 12: 1e-5, 17: 1e-5},
        ),
    ],
    ids=['OneCycleLR', 'LinearLR+PolyLR', 'MultiStepLR'],
)
def test_a_stretched_run_has_a_stretched_schedule(schedules, want, tmp_path):
    """The learning rate of each of the 18 steps of a run of 12, from the dotted options that stretch it."""
    plain = config(dict(distiller(), teacher=None), tmp_path / 'alone_small_quick_scenes', iters=12, interval=6, param_scheduler=schedules)
    cfg = load_config(tmp_path / 'alone_small_quick_scenes.py', stretching(plain.to_dict(), 1.5))
    assert cfg.to_dict() == stretched(plain.to_dict(), 1.5) and cfg.default_hooks.checkpoint.interval == 9
    runner, rates, validated = build_runner(cfg, tmp_path / 'run'), [], []
    step, validate = runner.model.train_step, runner.val_loop.run

    def noted(data, optim_wrapper):
        rates.append(optim_wrapper.get_lr()['lr'][0])
        return step(data, optim_wrapper)

    def noted_validation():
        validated.append(runner.iter)
        return validate()

    runner.model.train_step, runner.val_loop.run = noted, noted_validation
    torch.manual_seed(0)
    runner.train()
    assert len(rates) == 18 and validated == [9, 18]
    assert {i: rates[i] for i in want} == pytest.approx(want, rel=1e-3)
    assert sorted(p.name for p in (tmp_path / 'run').glob('iter_*.pth')) == ['iter_18.pth', 'iter_9.pth']
