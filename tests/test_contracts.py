"""The contracts of a Distiller, over every registered method: one that is added later is covered by being registered."""

import numpy as np
import pytest
import torch
from helpers.batches import batch, losses, total
from helpers.cases import METHOD_CASES, method
from helpers.configs import config
from helpers.errors import fails
from helpers.networks import build, distiller, segmentor
from helpers.processes import check_steps, distributed, in_two_processes, killed_and_resumed, step_of
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope

from vkd import METHODS
from vkd.build.networks import build_model

each_method = pytest.mark.parametrize('name', METHOD_CASES)


@each_method
def test_1_state_holds_the_student_and_no_frozen_teacher(name):
    model = build(distiller(method(name)))
    state = model.state_dict()
    assert {k.split('.')[0] for k in state} <= {'student', 'methods'} and any(k.startswith('student.') for k in state)
    teacher = {id(p) for p in model.teachers['teacher'].parameters()}
    assert not teacher & {id(p) for p in model.parameters()}
    other = build(distiller(method(name)), seed=1)
    other.load_state_dict(state, strict=True)
    plain = build(segmentor(8), seed=2)
    plain.load_state_dict({k.removeprefix('student.'): v for k, v in state.items() if k.startswith('student.')}, strict=True)
    image = torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        assert torch.equal(plain.eval()(image), model.eval()(image)) and torch.equal(other.eval()(image), model(image))


def test_2_without_methods_it_is_the_student():
    plain, wrapped = build(segmentor(8, dropout=0.3)), build(distiller(student=segmentor(8, dropout=0.3)))
    assert all(torch.equal(a, b) for a, b in zip(plain.state_dict().values(), wrapped.student.state_dict().values(), strict=False))
    found = []
    for model in (plain, wrapped):
        torch.manual_seed(3)
        own = losses(model, batch())
        model.parse_losses(own)[0].backward()
        found.append((own, [p.grad for p in (model if model is plain else model.student).parameters()]))
    (a, grads_a), (b, grads_b) = found
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    assert all(torch.equal(x, y) for x, y in zip(grads_a, grads_b, strict=False))


@each_method
def test_2_a_method_leaves_the_initial_student_and_its_own_loss_alone(name):
    plain, wrapped = build(segmentor(8)), build(distiller(method(name)))
    assert all(torch.equal(a, b) for a, b in zip(plain.state_dict().values(), wrapped.student.state_dict().values(), strict=False))
    a, b = losses(plain, batch()), losses(wrapped, batch())
    assert all(torch.equal(a[k], b[k]) for k in a) and len(b) > len(a)


@each_method
def test_3_a_frozen_teacher_is_deterministic_and_unchanged(name):
    model = build(distiller(method(name), teacher=segmentor(16, dropout=0.5)))
    teacher = model.teachers['teacher']
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    wrapper = OptimWrapper(torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2))
    for i in range(10):
        model.train_step(batch(seed=i), wrapper)
    assert all(torch.equal(v, before[k]) for k, v in teacher.state_dict().items())
    assert all(p.grad is None for p in teacher.parameters()) and not any(m.training for m in teacher.modules())
    image = torch.randn(2, 3, 32, 64)
    role = model.roles['teacher']
    first, second = (model.teach(role, image, None)[1] for _ in range(2))
    assert first and all(torch.equal(first[k], second[k]) for k in first)


def test_4_a_teacher_is_matched_wholly_or_refused(tmp_path):
    teacher = build(segmentor(16), seed=5)
    path = tmp_path / 'teacher.pth'
    torch.save(dict(state_dict=teacher.state_dict()), path)
    model = build(distiller(teacher=dict(model=segmentor(16), checkpoint=str(path))))
    assert model.roles['teacher'].report['share'] == 1 and all(
        torch.equal(a, b) for a, b in zip(model.teachers['teacher'].state_dict().values(), teacher.state_dict().values(), strict=False)
    )
    state = teacher.state_dict()
    kept = dict(list(state.items())[: round(0.6 * len(state))])
    torch.save(dict(state_dict=kept), path)
    with fails('partial-checkpoint', rf"{len(kept)} of {len(state)} tensors \(60%\).*strict=False") as error:
        build(distiller(teacher=dict(model=segmentor(16), checkpoint=str(path))))
    assert '\n' not in str(error.value)
    loose = build(distiller(teacher=dict(model=segmentor(16), checkpoint=str(path), strict=False)))
    assert loose.roles['teacher'].report['matched'] == len(kept)


@each_method
def test_5_every_parameter_gets_a_gradient(name):
    model = build(distiller(method(name)))
    total(model, batch()).backward()
    without = {n for n, p in model.named_parameters() if p.grad is None}
    declared = {f'methods.0.{n}' for n in model.methods[0].without_gradient}
    assert without == declared == {n for n, p in model.named_parameters() if not p.requires_grad}


def test_5_what_a_method_declares_has_a_case():
    """Whatever class says that some option leaves parameters without gradient is tested under one that does."""
    found = {case.partition(':')[0] for case in METHOD_CASES if list(build(distiller(method(case))).methods[0].without_gradient)}
    assert found == {n for n in METHODS.module_dict if METHODS.get(n).without_gradient != ()}


def test_8_every_method_is_seen_to_add_to_the_objective():
    for name in METHOD_CASES:
        model = build(distiller(method(name)))
        losses(model, batch())
        assert model.wires[0].tried, name


#: models of which several steps are taken in two processes, beside all METHOD_CASES
NO_TASK = {
    f'task_weight=0, {tap}': distiller(dict(type='FeatureKD', student=tap, teacher=tap), task_weight=0)
    for tap in ('backbone[0]', 'backbone[3]', 'decode_head.conv_seg')
}
#: a batch of one image here, of three there
UNEQUAL = 'TransKD:base, two squeezes'


def weights_after_steps(cases):
    """``{case: all parameters, a vector}`` after three steps of a process on images of its own, under plain DDP."""
    rank, found = torch.distributed.get_rank(), {}
    for name in (*cases, *NO_TASK, 'unequal'):
        cfg = NO_TASK.get(name) or distiller(method(UNEQUAL if name == 'unequal' else name))
        model = build(cfg)
        wrapper = OptimWrapper(torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2))
        parallel = distributed(model)
        start = torch.cat([p.detach().flatten() for p in model.parameters()])
        for step in range(3):
            parallel.train_step(batch(1 + 2 * rank if name == 'unequal' else 2, seed=2 * step + rank), wrapper)
        end = torch.cat([p.detach().flatten() for p in model.parameters()])
        found[name] = end.numpy(), (end - start).norm().item()
    return found


@pytest.mark.slow
def test_5_every_case_takes_several_steps_in_two_processes(tmp_path):
    """DDP without find_unused_parameters fails in the second step where a parameter got no gradient in the first."""
    first, second = in_two_processes(weights_after_steps, tmp_path, METHOD_CASES).values()
    for name, (weights, moved) in first.items():
        assert moved > 0 and np.array_equal(weights, second[name][0]), name


@each_method
def test_6_bf16_channels_last_and_activation_checkpointing(name):
    def loss_and_gradient(model, context=torch.autocast('cpu', enabled=False)):
        torch.manual_seed(7)
        with context:
            loss = total(model, batch())
        loss.backward()
        return loss.item(), torch.cat([p.grad.flatten().float() for p in model.student.parameters()])

    loss, gradient = loss_and_gradient(build(distiller(method(name))))
    assert loss == loss and gradient.norm() > 0
    for other in (
        build(distiller(method(name))).to(memory_format=torch.channels_last),
        build(distiller(method(name), student=segmentor(8, checkpointing=True))),
    ):
        own, grad = loss_and_gradient(other)
        assert own == pytest.approx(loss, rel=1e-4)
        torch.testing.assert_close(grad, gradient, rtol=1e-2, atol=1e-3 * gradient.abs().max().item())
    half, grad = loss_and_gradient(build(distiller(method(name))), torch.autocast('cpu', torch.bfloat16))
    assert half == pytest.approx(loss, rel=0.05) and torch.nn.functional.cosine_similarity(grad, gradient, dim=0) > 0.9


def one_step(names, wrap=lambda model: model):
    found = {}
    for name in names:
        model = wrap(build(distiller(method(name), student=segmentor(8, norm='GN'))))
        wrapper = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1))
        torch.manual_seed(7)
        found[name] = step_of(model, batch(4), wrapper)
    return found


def in_group(names):
    return one_step(names, distributed), one_step(['KL'])['KL']


#: why the loss is no mean over the images, so that the halves of a batch do not give the step of the whole
NO_MEAN = dict(
    DIST='correlates the pixels of a batch',
    MGD='draws a mask',
    GKD='draws a mask',
    TransKD='batch norm in its fusion',
    CTCL='batch norm in its adapters, and shares of places',
)


@pytest.mark.slow
def test_6_two_processes_give_the_step_of_one(tmp_path):
    wanted = one_step([name for name in METHOD_CASES if name.partition(':')[0] not in NO_MEAN])
    found = in_two_processes(in_group, tmp_path, METHOD_CASES)
    (first, lonely), (second, other) = found[0], found[1]
    for name in METHOD_CASES:
        try:
            check_steps(first[name], second[name], wanted.get(name))
        except AssertionError as error:
            raise AssertionError(f'{name}: {error}') from error
    with pytest.raises(AssertionError):  # this is what it looks like where nothing brings the processes together
        check_steps(lonely, other)


@pytest.mark.slow
@each_method
def test_7_killed_and_resumed_it_ends_in_the_same_weights(name, tmp_path):
    def cfg(folder):
        return config(distiller(method(name), student=segmentor(8, dropout=0.2)), tmp_path / folder)

    whole, again = killed_and_resumed(cfg, tmp_path, 5)
    assert again.iter == whole.iter == 6
    assert whole.val_loop.evaluator.metrics[0].report == again.val_loop.evaluator.metrics[0].report


def test_the_task_may_be_left_out():
    """task_weight=0: representation learning only; the student's head neither runs nor gets a gradient."""
    model = build(distiller(dict(type='FeatureKD', student='backbone[3]', teacher='backbone[3]'), task_weight=0))
    own = losses(model, batch())
    assert list(own) == ['loss_mse']
    model.parse_losses(own)[0].backward()
    assert (
        all(p.grad is None for p in model.student.decode_head.parameters())
        and model.student.backbone.layers[0][0].projection.weight.grad.norm() > 0
    )


@pytest.mark.slow
def test_without_a_task_what_no_method_reaches_is_frozen_and_kept(tmp_path):
    def cfg(task_weight=0, tap='backbone[1]'):
        return distiller(dict(type='FeatureKD', student=tap, teacher=tap), task_weight=task_weight)

    model, plain = build(cfg()), build(segmentor(8))
    frozen = {n for n, p in model.student.named_parameters() if not p.requires_grad}
    assert frozen == set(model.unreached) and {n.split('.')[0] for n in frozen} == {'backbone', 'decode_head'}
    assert all(n.startswith(('backbone.layers.2.', 'backbone.layers.3.', 'decode_head.')) for n in frozen)
    total(model, batch()).backward()
    assert {n for n, p in model.student.named_parameters() if p.grad is None} == frozen
    wrapper = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.5))
    model.train_step(batch(), wrapper)
    moved = {n for (n, p), q in zip(model.student.named_parameters(), plain.parameters(), strict=False) if not torch.equal(p, q)}
    assert moved == {n for n, _ in plain.named_parameters()} - frozen  # not decayed either
    assert not {p for p in model.student.parameters() if not p.requires_grad} & set(wrapper.optimizer.state)
    state = model.state_dict()
    assert {f'student.{k}' for k in plain.state_dict()} <= set(state)
    plain.load_state_dict({k.removeprefix('student.'): v for k, v in state.items() if k.startswith('student.')}, strict=True)
    image = torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        assert torch.equal(plain.eval()(image), model.eval()(image))
    build(cfg(1)).load_state_dict(state, strict=True)
    assert not build(cfg(1)).unreached and not build(cfg(0, 'decode_head.conv_seg')).unreached
    killed_and_resumed(lambda folder: config(cfg(), tmp_path / folder), tmp_path, 5)


def test_without_a_task_a_student_that_only_teaches_is_frozen():
    """Its peer learns from it: nothing of the student would get a gradient."""
    one = dict(type='FeatureKD', student='backbone[3]', teacher='backbone[3]', of='student', learner='wide')
    cfg = dict(
        type='vkd.Distiller',
        student=segmentor(8),
        teachers=dict(wide=dict(model=segmentor(16), trainable=True)),
        methods=[one],
        task_weight=0,
    )
    model = build(cfg)
    total(model, batch()).backward()
    assert not any(p.requires_grad for p in model.student.parameters()) and all(
        p.grad is not None for p in model.parameters() if p.requires_grad
    )


def test_what_is_frozen_without_a_task_is_said_once(monkeypatch):
    told = []
    monkeypatch.setattr('vkd.distill.distiller.print_log', lambda message, **more: told.append(message))
    build(distiller(dict(type='FeatureKD', student='backbone[3]', teacher='backbone[3]'), task_weight=0))
    assert len(told) == 1 and 'task_weight=0: no method reaches ' in told[0] and "'decode_head." in told[0]
    build(distiller(dict(type='KL')))
    assert len(told) == 1


def test_scope_of_a_module():
    with DefaultScope.overwrite_default_scope('mmseg'):
        student = build_model(segmentor(8))
        assert build_model(student) is student
