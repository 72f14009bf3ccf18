"""Networks that learn beside each other: contracts over every method among peers, optimizers by role, one evaluation of all, export of
each.
"""

import pytest
import torch
from helpers.batches import batch, losses, total
from helpers.configs import config
from helpers.networks import build, distiller, peers, segmentor
from helpers.processes import check_steps, distributed, in_two_processes, killed_and_resumed, step_of
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS as MMSEG

from vkd import METHODS, Distiller, UserError
from vkd.engine import PeerOptimWrapper, build_runner, use_amp
from vkd.evaluation import SegMetric
from vkd.export.student import export
from vkd.io.files import read_json
from vkd.leaderboard import build as leaderboard
from vkd.runs.evaluate import evaluate
from vkd.runs.run import run

each_mutual = pytest.mark.parametrize('name', sorted(n for n, m in METHODS.module_dict.items() if getattr(m, 'mutual', False)))
PER_ROLE = dict(
    constructor='vkd.PerRole',
    student=dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9), clip_grad=dict(max_norm=1.0)),
    vit=dict(
        optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01),
        paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=10.0)), norm_decay_mult=0.0),
    ),
)
SCHEDULES = dict(
    student=[dict(type='PolyLR', power=0.9, eta_min=1e-4, end=6, by_epoch=False)],
    vit=[dict(type='LinearLR', start_factor=0.1, end=3, by_epoch=False)],
)


def optimizers(model, cfg=PER_ROLE):
    import vkd.engine  # noqa: F401  (registers)

    return build_optim_wrapper(model, Config(dict(o=cfg)).o)


# -- contracts -------------------------------------------------------------------------------------------------------------
@each_mutual
def test_both_are_kept_and_either_loads_in_plain_mmseg(name):
    model = build(peers(dict(type=name)))
    state = model.state_dict()
    assert {k.split('.')[0] for k in state} <= {'student', 'vit', 'methods'}
    build(peers(dict(type=name)), seed=1).load_state_dict(state, strict=True)
    for role, width in (('student', 8), ('vit', 16)):
        plain = build(segmentor(width), seed=2)
        plain.load_state_dict({k.removeprefix(f'{role}.'): v for k, v in state.items() if k.startswith(f'{role}.')}, strict=True)


@each_mutual
def test_every_parameter_gets_a_gradient_from_its_owner(name):
    model = build(peers(dict(type=name)))
    own = losses(model, batch(size=(64, 64)))
    model.parse_losses(own)[0].backward()
    assert all(p.grad is not None for p in model.parameters())
    assert {k.rsplit('_', 1)[1] for k in own if k.startswith('loss_')} == {'student', 'vit'}
    assert {model.owner(n) for n, _ in model.named_parameters()} == {'student', 'vit'}


@each_mutual
def test_bf16_channels_last_and_activation_checkpointing(name):
    def loss_and_gradient(model, half=False):
        torch.manual_seed(7)
        with torch.autocast('cpu', torch.bfloat16, enabled=half):
            value = total(model, batch())
        value.backward()
        return value.item(), torch.cat([p.grad.flatten().float() for p in model.parameters()])

    loss, gradient = loss_and_gradient(build(peers(dict(type=name))))
    for other in (
        build(peers(dict(type=name))).to(memory_format=torch.channels_last),
        build(peers(dict(type=name), first=segmentor(8, checkpointing=True))),
    ):
        own, grad = loss_and_gradient(other)
        assert own == pytest.approx(loss, rel=1e-4)
        torch.testing.assert_close(grad, gradient, rtol=1e-2, atol=1e-3 * gradient.abs().max().item())
    half, grad = loss_and_gradient(build(peers(dict(type=name))), half=True)
    assert half == pytest.approx(loss, rel=0.05)
    assert torch.nn.functional.cosine_similarity(grad, gradient, dim=0) > 0.9


def one_step(names, wrap=lambda model: model):
    found = {}
    for name in names:
        model = wrap(build(peers(dict(type=name), first=segmentor(8, norm='GN'), second=segmentor(16, norm='GN'))))
        wrapper = optimizers(model, dict(PER_ROLE, vit=dict(optimizer=dict(type='SGD', lr=0.1))))
        torch.manual_seed(7)
        found[name] = step_of(model, batch(4), wrapper)
    return found


@pytest.mark.slow
def test_two_processes_and_two_optimizers_give_the_step_of_one(tmp_path):
    """CTCL's halves are not its whole: the batch norm of its adapters, and means over the places that are taught."""
    names = each_mutual.args[1]
    wanted, found = one_step(names), in_two_processes(one_step, tmp_path, names, distributed)
    for name in names:
        check_steps(found[0][name], found[1][name], None if name == 'CTCL' else wanted[name])


@pytest.mark.slow
@pytest.mark.parametrize('name', [*each_mutual.args[1], 'KDCL general'])
def test_killed_and_resumed_with_two_optimizers_it_ends_in_the_same_weights(name, tmp_path):
    kind, _, mode = name.partition(' ')

    def cfg(folder):
        out = config(
            peers(dict(type=kind, **(dict(mode=mode) if mode else {})), first=segmentor(8, dropout=0.2)),
            tmp_path / folder,
            val_evaluator=dict(peers=dict(cnn='student', vit='vit')),
        )
        out.optim_wrapper, out.param_scheduler = Config(dict(o=PER_ROLE)).o, Config(dict(s=SCHEDULES)).s
        return out

    whole, again = killed_and_resumed(cfg, tmp_path, 5)
    assert isinstance(again.optim_wrapper, PeerOptimWrapper) and whole.optim_wrapper.get_lr() == again.optim_wrapper.get_lr()
    assert whole.val_loop.evaluator.metrics[0].report == again.val_loop.evaluator.metrics[0].report


# -- optimizers ------------------------------------------------------------------------------------------------------------
def test_each_parameter_is_in_the_optimizer_of_its_owner():
    model = build(peers(dict(type='CTCL')))
    wrapper = optimizers(model)
    names = {id(p): n for n, p in model.named_parameters()}
    own = {role: {names[id(p)] for g in w.optimizer.param_groups for p in g['params']} for role, w in wrapper.items()}
    assert not own['student'] & own['vit'] and own['student'] | own['vit'] == set(names.values())
    assert {n for n in own['student'] if n.startswith('methods')} == {
        n for n in names.values() if '.adapt_' in n and '.student.' in n.replace('.vit.', '.x.', 1) and n.split('.')[3] == 'student'
    }
    groups = {names[id(p)]: g for g in wrapper['vit'].optimizer.param_groups for p in g['params']}
    assert (
        groups['vit.decode_head.conv_seg.weight']['lr'] == pytest.approx(1e-2)
        and groups['vit.backbone.layers.0.0.projection.weight']['lr'] == 1e-3
    )
    assert (
        groups['vit.backbone.layers.0.2.weight']['weight_decay'] == 0
        and type(wrapper['student'].optimizer).__name__ == 'SGD'
        and wrapper['student'].clip_grad_kwargs
    )


def test_a_step_is_that_of_two_separate_ones():
    both, apart = (build(peers(dict(type='CTCL'))) for _ in range(2))
    both.train_step(batch(), optimizers(both))
    total(apart, batch()).backward()
    torch.nn.utils.clip_grad_norm_([p for n, p in apart.named_parameters() if apart.owner(n) == 'student'], 1.0)
    for wrapper in optimizers(apart).values():
        wrapper.optimizer.step()
    for (n, a), b in zip(both.named_parameters(), apart.parameters(), strict=False):
        torch.testing.assert_close(a, b, msg=n)


def test_gradients_accumulate():
    """Two small batches and one update are one large batch, without statistics over the batch."""

    def fresh():
        return build(peers(dict(type='DML'), first=segmentor(8, norm='GN'), second=segmentor(16, norm='GN')))

    data = batch(4)
    small, large = fresh(), fresh()
    wrapper = optimizers(small, dict(PER_ROLE, accumulative_counts=2))
    wrapper.initialize_count_status(small, 0, 4)
    start = {n: p.clone() for n, p in small.named_parameters()}
    for k in range(2):
        if k:
            assert all(torch.equal(p, start[n]) for n, p in small.named_parameters())
        small.train_step({key: value[2 * k : 2 * k + 2] for key, value in data.items()}, wrapper)
    large.train_step(data, optimizers(large))
    for (n, a), b in zip(small.named_parameters(), large.parameters(), strict=False):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5, msg=n)


def test_mixed_precision_and_one_optimizer(tmp_path):
    cfg = config(peers(dict(type='CTCL')), tmp_path / 'half', iters=2, interval=2)
    cfg.optim_wrapper, cfg.param_scheduler = Config(dict(o=PER_ROLE)).o, []
    use_amp(cfg)
    seen = []
    runner = build_runner(cfg)
    runner.model.student.decode_head.conv_seg.register_forward_hook(lambda m, a, y: seen.append((m.training, y.dtype)))
    runner.train()
    assert (True, torch.bfloat16) in seen
    single = build(peers(dict(type='CTCL')))
    groups = build_optim_wrapper(
        single,
        Config(
            dict(
                o=dict(
                    type='OptimWrapper',
                    optimizer=dict(type='AdamW', lr=1e-3),
                    paramwise_cfg=dict(custom_keys={'student': dict(lr_mult=5.0)}),
                )
            )
        ).o,
    )
    assert isinstance(groups, OptimWrapper) and not isinstance(groups, PeerOptimWrapper)
    lrs = {g['lr'] for g in groups.optimizer.param_groups}
    single.train_step(batch(), groups)
    assert lrs == {1e-3, 5e-3}


@pytest.mark.parametrize(
    'cfg, told',
    [
        (dict(PER_ROLE, cnn=PER_ROLE['student']), "'cnn' is no role that learns"),
        ({k: v for k, v in PER_ROLE.items() if k != 'vit'}, "'vit' learns but has no optimizer"),
        (dict(PER_ROLE, paramwise_cfg=dict(norm_decay_mult=0.0)), 'belongs to a role'),
        (dict(PER_ROLE, vit=dict(PER_ROLE['vit'], type='AmpOptimWrapper')), 'plain OptimWrapper'),
    ],
)
def test_wrong_optimizers(cfg, told):
    with pytest.raises(UserError) as error:
        optimizers(build(peers(dict(type='DML'))), cfg)
    assert told in str(error.value) and '\n' not in str(error.value)
    with pytest.raises(UserError, match='for a vkd.Distiller'):
        optimizers(build(segmentor(8)), PER_ROLE)


@pytest.mark.parametrize(
    'optim, schedule, told',
    [
        (
            dict(
                type='OptimWrapper',
                optimizer=dict(type='SGD', lr=0.1),
                paramwise_cfg=dict(custom_keys=dict(cnn=dict(lr_mult=2.0), student=dict(lr_mult=2.0))),
            ),
            [],
            "'cnn' matches no parameter.*student, vit",
        ),
        (
            dict(cnn=dict(optimizer=dict(type='SGD', lr=0.1)), transformer=dict(optimizer=dict(type='SGD', lr=0.1))),
            [],
            'cnn, transformer.*student, vit',
        ),
        (PER_ROLE, dict(student=SCHEDULES['student'], cnn=SCHEDULES['vit']), 'names student, cnn; the roles that learn are student, vit'),
        (dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)), SCHEDULES, 'give a list'),
    ],
)
def test_names_that_match_no_role_are_told_before_training(optim, schedule, told, tmp_path):
    cfg = config(peers(dict(type='DML')), tmp_path / 'r')
    cfg.optim_wrapper, cfg.param_scheduler = Config(dict(o=optim)).o, Config(dict(s=schedule)).s
    with pytest.raises(UserError, match=told) as error:
        build_runner(cfg)
    assert '\n' not in str(error.value)


# -- roles -----------------------------------------------------------------------------------------------------------------
def test_kl_both_ways():
    model = build(peers(dict(type='KL', of='vit'), dict(type='KL', learner='vit', of='student')))
    own = losses(model, batch())
    for key, role in (('loss_kl', 'student'), ('loss_kl_1', 'vit')):
        model.zero_grad(set_to_none=True)
        own[key].backward(retain_graph=True)
        assert {n.split('.')[0] for n, p in model.named_parameters() if p.grad is not None} == {role}
    assert own['loss_kl'] != own['loss_kl_1'] and [w.roles for w in model.wires] == [['student', 'vit'], ['vit', 'student']]


@pytest.mark.parametrize(
    'cfg, told',
    [
        (peers(dict(type='KL', learner='cnn')), "'student'"),
        (distiller(dict(type='KL', learner='teacher', of='student')), 'frozen'),
        (peers(dict(type='KL', of='student')), 'two different'),
        (dict(peers(dict(type='DML')), teachers=dict(ensemble=dict(model=segmentor(8), trainable=True))), 'cannot be used'),
        (dict(peers(dict(type='DML')), teachers=dict(methods=dict(model=segmentor(8), trainable=True))), 'cannot be used'),
        (dict(distiller(dict(type='DML')), teacher=None), 'two different'),
    ],
)
def test_wrong_roles(cfg, told):
    with pytest.raises(UserError) as error:
        build(cfg)
    assert told in str(error.value) and '\n' not in str(error.value)


# -- evaluation and export -------------------------------------------------------------------------------------------------
def test_one_pass_evaluates_all(tmp_path):
    """Each peer's scores are those it has alone; the ensemble is the mean of probabilities."""
    model = build(peers(dict(type='DML'), second=segmentor(16))).eval()
    both, alone = SegMetric(peers=dict(cnn='student', vit='vit')), {r: SegMetric() for r in model.networks}
    for metric in (both, *alone.values()):
        metric.dataset_meta = dict(classes=tuple('abcdefghi'))
    hits = []
    for seed in range(3):
        with torch.no_grad():
            found = model.test_step(batch(2, seed=seed))
            both.process({}, [s.to_dict() for s in found])
            chances = []
            for role, net in model.networks.items():
                own = net.test_step(batch(2, seed=seed))
                alone[role].process({}, [s.to_dict() for s in own])
                chances.append(torch.stack([s.seg_logits.data.softmax(0) for s in own]))
            mean = (sum(chances) / 2).argmax(1)
            hits += [torch.equal(m[None], s.pred_sem_seg_ensemble.data) for m, s in zip(mean, found, strict=False)]
    scores = both.evaluate(6)
    for label, role in (('cnn', 'student'), ('vit', 'vit')):
        own = alone[role].evaluate(6)
        assert all(scores[f'{label}/{k}'] == v or v != v for k, v in own.items())
        assert both.report['peers'][label]['mIoU'] == alone[role].report['mIoU']
    assert (
        all(hits)
        and both.report['mIoU'] == alone['student'].report['mIoU']
        and 'ensemble/mIoU' in scores
        and scores['cnn/mIoU'] != scores['vit/mIoU']
    )
    wrong = SegMetric(peers=dict(cnn='student', vit='vitt'))
    wrong.dataset_meta = both.dataset_meta
    with pytest.raises(UserError, match="'vitt', but the model predicts as"):
        wrong.process({}, [s.to_dict() for s in found])


def test_a_peer_that_started_from_absent_weights_is_evaluated_all_the_same(tmp_path):
    second = segmentor(16)
    second = dict(second, backbone=dict(second['backbone'], init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'gone.pth'))))
    torch.save(dict(state_dict=build(segmentor(16)).state_dict()), tmp_path / 'start.pth')
    model = dict(
        type='vkd.Distiller',
        student=segmentor(8),
        teachers=dict(vit=dict(model=second, trainable=True, checkpoint=str(tmp_path / 'start.pth'))),
        methods=[dict(type='DML')],
    )
    cfg = config(
        model, tmp_path / 'dml_small_big_quick_scenes', iters=2, interval=2, test_evaluator=dict(peers=dict(cnn='student', vit='vit'))
    )
    metrics = run(cfg.copy(), tmp_path / 'r')
    (tmp_path / 'start.pth').unlink()
    assert evaluate(Config.fromfile(cfg.filename), tmp_path / 'r/iter_2.pth', tmp_path / 't')['peers'] == metrics['test']['peers']


def test_peers_that_are_no_segmentors_are_left_to_the_student():
    class Net(BaseModel):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Conv2d(3, 3, 1)

        def forward(self, inputs, data_samples=None, mode='tensor'):
            return [self.layer(inputs)] if mode == 'predict' else self.layer(inputs)

    model, image = Distiller(Net(), teacher=dict(model=Net(), trainable=True)), torch.randn(1, 3, 4, 4)
    assert torch.equal(model(image, mode='predict')[0], model.student(image))


def test_a_run_of_peers_is_tested_exported_and_shown(tmp_path):
    """Another normalisation for the second: its export has that one, and predicts in plain mmseg what it predicted here."""
    second = dict(model=segmentor(16), trainable=True, view=dict(mean=[100.0, 110.0, 120.0], std=[50.0, 60.0, 70.0]))
    model = dict(type='vkd.Distiller', student=segmentor(8), teachers=dict(vit=second), methods=[dict(type='CTCL')])
    cfg = config(model, tmp_path / 'ctcl_small_big_quick_scenes')
    cfg.val_evaluator.peers = cfg.test_evaluator.peers = dict(cnn='student', vit='vit')
    cfg.dump(tmp_path / 'ctcl_small_big_quick_scenes.py')
    cfg = Config.fromfile(tmp_path / 'ctcl_small_big_quick_scenes.py')
    metrics = run(cfg.copy(), tmp_path / 'runs/r0')
    assert (
        list(metrics['test']['peers']) == ['cnn', 'vit', 'ensemble'] and metrics['test']['mIoU'] == metrics['test']['peers']['cnn']['mIoU']
    )
    assert evaluate(Config.fromfile(cfg.filename), tmp_path / 'runs/r0/iter_6.pth', tmp_path / 't') == metrics['test']
    trained = build(cfg.model)
    trained.load_state_dict(torch.load(tmp_path / 'runs/r0/iter_6.pth', weights_only=False)['state_dict'])
    image = torch.randint(256, (3, 32, 48), dtype=torch.uint8)
    sample = batch(1, size=(32, 48))['data_samples']
    with torch.no_grad():
        found = trained.eval().test_step(dict(inputs=[image], data_samples=sample))[0]
    for role, field in (('student', 'pred_sem_seg'), ('vit', 'pred_sem_seg_vit')):
        content = export(cfg, tmp_path / 'runs/r0/iter_6.pth', tmp_path / 'out', role=role)
        assert content['role'] == role and content['name'] == f'ctcl_small_big_quick_scenes_{role}'
        plain = Config.fromfile(tmp_path / f'out/{content["name"]}.py')
        with DefaultScope.overwrite_default_scope('mmseg'):
            network = MMSEG.build(plain.model).eval()
        network.load_state_dict(torch.load(tmp_path / f'out/{content["name"]}.pth', weights_only=True)['state_dict'], strict=True)
        with torch.no_grad():
            own = network.test_step(dict(inputs=[image], data_samples=[s.new() for s in sample]))[0]
        assert (own.pred_sem_seg.data == found.get(field).data).float().mean() > 0.999  # equal but for the rounding of the view
    for wrong in ('vitt', 'teacher'):
        with pytest.raises(UserError, match=f"no role '{wrong}' that learns.*'vit'"):
            export(cfg, tmp_path / 'runs/r0/iter_6.pth', tmp_path / 'out', role=wrong)
    rows = {(r['student'], r['method']): r for r in read_json(leaderboard(tmp_path / 'runs')['json'])['rows']}
    assert (
        rows['small', 'CTCL']['teacher'] == 'big'
        and rows['big', 'CTCL']['teacher'] == 'small'
        and rows['big', 'CTCL']['gain']['withheld'] == 'student alone was not run here'
    )
    assert (
        rows['small + big', 'CTCL']['role'] == 'ensemble'
        and rows['big', 'CTCL']['values'] == [metrics['test']['peers']['vit']['mIoU']]
        and rows['small + big', 'CTCL']['gain'] is None
    )
