"""The first mistakes of somebody who writes a method: each is one sentence, and errors of their own code stay their own."""

import ast
import inspect
import traceback

import pytest
import torch
from helpers import ROOT
from helpers.batches import batch, losses
from helpers.cases import method
from helpers.errors import fails
from helpers.networks import build, distiller, peers, segmentor
from torch import nn

from vkd import METHODS, Distiller, Method, PairMethod, PeerMethod, UserError
from vkd.distill.losses import mse_loss

TAP = ['backbone[3]']


class Good(Method):
    """A method between two networks without anything that could be left out."""

    student_taps = teacher_taps = TAP

    def forward(self, student, teacher, batch):
        return dict(loss_good=student['backbone[3]'].mean())


def built(kind, **options):
    return build(distiller(dict(type=kind, **options)))


def told(kind, **options):
    """The one sentence that ``kind`` is refused with, at build or in the first loss."""
    with pytest.raises(UserError) as error:
        losses(built(kind, **options), batch())
    sentence = str(error.value)
    assert '\n' not in sentence and sentence.endswith('.') and (kind.__name__ in sentence)
    return sentence


def test_what_is_written_in_eight_lines_is_a_method():
    class Smooth(PairMethod):
        loss_key, adapts = 'loss_smooth', 'auto'

        def loss(self, student, teacher):
            return mse_loss(student.diff(dim=2), teacher.diff(dim=2))

    assert [p for p in inspect.signature(Smooth).parameters] == ['student', 'teacher', 'loss_weight', 'align']
    assert losses(built(Smooth, student='backbone[0]', teacher='backbone[0]'), batch())['loss_smooth'].requires_grad
    assert losses(built(Good), batch())['loss_good'].requires_grad


# -- taps ------------------------------------------------------------------------------------------------------------------
def test_a_text_in_place_of_a_list_of_taps():
    class Texts(Good):
        student_taps = 'backbone[3]'

    assert "student_taps is 'backbone[3]'; give a list of taps, such as ['backbone[3]']" in told(Texts)
    model = build(distiller(dict(type='AT', student='backbone[3]', teacher='backbone[3]')))  # an option takes it
    assert model.methods[0].student_taps == ['backbone[3]']


def test_no_taps_at_all():
    class Nothing(Method):
        def forward(self, student, teacher, batch):
            return {}

    assert 'student_taps is empty, so nothing of the student is read' in told(Nothing)

    class Half(Good):
        teacher_taps = None

    assert 'teacher_taps is None; give a list of taps' in told(Half)

    class Slip(Method):
        def __init__(self):
            super().__init__()
            self.student_tap, self.teacher_taps = TAP, TAP

        def forward(self, student, teacher, batch):
            return {}

    assert "there is 'student_tap', which nobody reads" in told(Slip)


# -- names and arguments ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    'name, meant',
    [
        ('set_up', 'setup'),
        ('teacher_tap', 'teacher_taps'),
        ('find_tap', 'find_taps'),
        ('check_images', 'check_image'),
        ('secondPass', 'second_pass'),
        ('foward', 'forward'),
    ],
)
def test_a_name_that_nearly_is_one_of_the_interface(name, meant):
    with pytest.raises(UserError, match=f"^Typo.{name}: the Distiller knows '{meant}' and not '{name}'.*[.]$"):
        type('Typo', (Good,), {name: lambda self, a, b: None})
    with pytest.raises(UserError, match='Typo'):
        type('Typo', (PairMethod,), {name: lambda self, a, b: None})


def test_names_of_ones_own_are_let_be():
    own = dict.fromkeys(('settings', 'teacher_maps', 'score', 'ensemble', 'forward_features', 'train', 'half', '_set_up'))
    assert issubclass(type('Own', (PairMethod,), own), PairMethod) and issubclass(type('Own', (PeerMethod,), own), PeerMethod)


def test_arguments_by_which_the_distiller_calls():
    class Two(Good):
        def forward(self, student, teacher):
            return {}

    assert 'Two.forward takes (student, teacher), but is called with (student, teacher, batch)' in told(Two)

    class Bare(Good):
        def setup(self):
            pass

    assert 'Bare.setup takes (), but is called with (student_shapes, teacher_shapes)' in told(Bare)

    class Again(Good):
        def second_pass(self, network):
            pass

    assert 'called with (student, teacher, batch, masked)' in told(Again)

    class Empty(Method):
        student_taps = teacher_taps = TAP

    assert 'has no forward; write forward(self, student, teacher, batch)' in told(Empty)

    class Lossless(PairMethod):
        pass

    assert 'has no loss; write loss(self, student, teacher)' in told(Lossless, student=TAP, teacher=TAP)

    class Peers(Method):
        mutual = True

        def forward(self, peers, batch):
            return {}

        def setup(self, shapes, learners):
            pass

        def find_taps(self, networks):
            pass

    assert 'is among peers (mutual=True) and has no taps; write taps(self, role)' in told(Peers)


def test_a_plain_module_is_told_which_base_there_is():
    class Plain(nn.Module):
        student_taps = teacher_taps = TAP

        def forward(self, student, teacher, batch):
            return {}

    assert 'is no vkd.Method' in told(Plain) and 'vkd.PairMethod' in told(Plain)
    with fails('not-a-method', 'Plain'):
        Distiller(build(segmentor(8)), teacher=build(segmentor(8)), methods=[Plain()])


def test_init_of_the_parent_is_forgotten():
    class Forgot(Good):
        def __init__(self):
            self.weight = 1.0

    class ForgotToo(Good):
        def __init__(self):
            self.layer = nn.Linear(1, 1)

    for kind in (Forgot, ForgotToo):
        assert '__init__ does not call super().__init__() first' in told(kind)


# -- options ---------------------------------------------------------------------------------------------------------------
def test_an_option_that_is_misspelt_or_missing():
    with fails('no-such-option', "'taus'; nearest: 'tau'"):
        build(distiller(dict(type='KL', taus=1)))
    with fails('missing-option', 'FitNet.*student'):
        build(distiller(dict(type='FitNet')))


#: options that must not all be 0, of each method that has no loss_weight
WEIGHTS = dict(
    CTCL=('hfd_weight', 'region_weight', 'pixel_weight'),
    GKD=('feat_weight', 'mask_weight', 'cls_weight'),
    GloReDi=('rdd_weight', 'bpcd_weight'),
    TransKD=('feature_weight', 'embedding_stage'),
)


@pytest.mark.parametrize('name', sorted(METHODS.module_dict))
def test_weights_are_checked(name):
    kind, needed = METHODS.get(name), {k: v for k, v in method(name).items() if k != 'type'}
    one = 'loss_weight' if 'loss_weight' in inspect.signature(kind).parameters else WEIGHTS[name][0]
    for value in ('abc', [1.0], -1, True, float('nan'), None if one == 'loss_weight' else 'x'):
        with fails('bad-value', rf'{name}: {one}'):
            kind(**{**needed, one: value})
    with pytest.raises(UserError, match=f'{name}: (loss_weight is 0; give a number above 0|.* 0, so nothing would be distilled)'):
        kind(**{**needed, **dict.fromkeys(WEIGHTS.get(name, ['loss_weight']), 0)})


@pytest.mark.parametrize(
    'kind, options, wanted',
    [
        ('KL', dict(tau='1'), "KL: tau is '1'; give a number above 0"),
        ('KL', dict(student=3), 'KL: student is 3'),
        ('CWD', dict(tau=[4]), r'CWD: tau is \[4\]'),
        ('DIST', dict(beta=-1), 'DIST: beta is -1'),
        ('DIST', dict(beta=0, gamma=0), 'DIST: beta, gamma are all 0'),
        ('FAKD', dict(student='a', teacher='b', pool=0.5), 'FAKD: pool is 0.5; give a whole number from 1'),
        ('FeatureKD', dict(student='a', teacher='b', normalize='yes'), "normalize is 'yes'; give True or False"),
        ('MGD', dict(student=['a', 'b'], teacher=['a', 'b']), 'MGD: 2 pairs of taps are given; it compares one'),
        ('KDCL', dict(momentum=1), 'KDCL: momentum is 1'),
        ('CTCL', dict(grid=4), 'CTCL: grid is 4; give two numbers of regions, or None'),
        ('TransKD', dict(mid_channels='64'), "TransKD: mid_channels is '64'"),
        ('GloReDi', dict(rdd_weight='x'), "GloReDi: rdd_weight is 'x'; give a number from 0, or None"),
    ],
)
def test_options_out_of_range(kind, options, wanted):
    with pytest.raises(UserError, match=wanted):
        METHODS.get(kind)(**options)


def test_the_task_weight_is_checked():
    with fails('bad-value', 'task_weight'):
        build(distiller(task_weight=-1))


# -- what forward returns --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    'returned, wanted',
    [
        (lambda x: x.mean(), r'returns a Tensor of shape \(\); return a dict of terms'),
        (lambda x: [x.mean()], 'returns a list; return a dict'),
        (lambda x: None, 'returns a NoneType; return a dict'),
        (lambda x: dict(loss_x=1.0), "returns a float as 'loss_x'; each term is a tensor, or a list of tensors"),
        (lambda x: dict(loss_x=[x.mean(), 1.0]), "returns a list as 'loss_x'"),
        (lambda x: {0: x.mean()}, r'returns a Tensor of shape \(\) as 0'),
        (lambda x: {}, 'it returns no term'),
        (lambda x: dict(similarity=x.mean()), "adds nothing to the objective: it returns only 'similarity', and only keys with 'loss'"),
        (lambda x: dict(loss_x=x.detach().mean()), "adds nothing to the objective: no gradient of 'loss_x' reaches student"),
        (lambda x: dict(loss_x=x.new_ones((), requires_grad=True)), 'adds nothing to the objective'),
    ],
)
def test_what_forward_returns(returned, wanted):
    class Returns(Good):
        def forward(self, student, teacher, batch):
            return returned(student['backbone[3]'])

    import re

    assert re.search(wanted, told(Returns))


def test_a_loss_that_reaches_an_adapter_alone_adds_nothing():
    class Adapter(Good):
        def setup(self, student_shapes, teacher_shapes):
            self.adapter = nn.Conv2d(student_shapes['backbone[3]'][1], 1, 1)

        def forward(self, student, teacher, batch):
            return dict(loss_x=self.adapter(student['backbone[3]'].detach()).mean())

    assert "no gradient of 'loss_x' reaches student" in told(Adapter)


def test_a_frozen_student_learns_nothing():
    model = build(distiller(dict(type='FitNet', student='backbone[3]', teacher='backbone[3]')))
    model.student.backbone.requires_grad_(False)
    with fails('adds-nothing', "FitNet.*'loss_mse'"):
        losses(model, batch())


@pytest.mark.parametrize(
    'cfg',
    [
        distiller(dict(method('GloReDi'), pretrain=0.5)),
        distiller(dict(method('GloReDi'), rdd_weight=0, memory_size=300)),
        peers(dict(type='CTCL', start=100)),
    ],
)
def test_a_term_that_is_zero_by_now_is_let_be(cfg):
    """Within the share before it begins, with a memory that is not full, before the first iteration that counts."""
    terms = {k: v for k, v in losses(build(cfg), batch()).items() if 'loss' in k and 'ce' not in k}
    assert terms and all(v.item() == 0 and v.grad_fn is not None for v in terms.values())


def test_a_method_is_tried_until_it_was_seen_to_add_and_no_longer():
    model = build(distiller(dict(type='KL'), dict(type='CWD')))
    with torch.no_grad():
        losses(model, batch())
    assert not any(wire.tried for wire in model.wires)  # without a graph nothing can be said
    losses(model, batch())
    assert all(wire.tried for wire in model.wires)
    model._try = None  # a second search would fail
    losses(model, batch())


def test_what_is_declared_without_gradient_is_frozen():
    class Part(Good):
        without_gradient = ('spare.bias',)

        def setup(self, student_shapes, teacher_shapes):
            self.spare = nn.Linear(2, 2)

    model = built(Part)
    assert {n for n, p in model.methods.named_parameters() if not p.requires_grad} == {'0.spare.bias'}

    class Wrong(Part):
        without_gradient = ('spare.biass',)

    assert "without_gradient names 'spare.biass', which is no parameter of it; nearest: 'spare.bias'" in told(Wrong)


# -- errors of the author's own --------------------------------------------------------------------------------------------
@pytest.mark.parametrize('kind', [TypeError, KeyError, ImportError, RuntimeError])
@pytest.mark.parametrize('where', ['__init__', 'find_taps', 'setup', 'forward'])
def test_an_error_of_ones_own_keeps_its_type_and_traceback(where, kind):
    def fails(self, *args):
        if where == '__init__':
            Method.__init__(self)
        raise kind('of my own')

    own = type('Own', (Good,), {where: fails})
    with pytest.raises(kind, match='of my own') as error:
        losses(built(own), batch())
    assert type(error.value) is kind and traceback.extract_tb(error.tb)[-1].name == 'fails'


# -- pairs -----------------------------------------------------------------------------------------------------------------
def test_several_pairs_have_an_adapter_each_and_their_terms_are_summed():
    three = [f'backbone[{i}]' for i in range(3)]
    model = build(distiller(dict(type='FitNet', student=three, teacher=three, loss_weight=2.0)))
    assert [n for n, _ in model.methods.named_parameters()] == [f'0.adapter.{i}.{p}' for i in range(3) for p in ('weight', 'bias')]
    one = model.methods[0]
    s, t = ({tap: torch.randn(2, c, 4, 4) for tap in three} for c in (8, 16))
    wanted = 2 * sum(mse_loss(one.adapter[i](s[tap]), t[tap]) for i, tap in enumerate(three))
    torch.testing.assert_close(one(s, t, {})['loss_mse'], wanted)
    single = build(distiller(dict(type='FitNet', student=three[:1], teacher=three[0])))
    assert [n for n, _ in single.methods.named_parameters()] == ['0.adapter.weight', '0.adapter.bias']


def test_tokens_are_maps_to_every_method_of_pairs():
    model = build(distiller(dict(type='AT', student='backbone.layers.0.0[0]', teacher='backbone.layers.0.0[0]')))
    assert losses(model, batch(size=(32, 96)))['loss_at'].isfinite()


def test_a_vector_cannot_be_adapted():
    class Pooled(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.vector = nn.Linear(3, width)

        def forward(self, x, data_samples=None, mode='tensor'):
            return self.vector(x.mean((2, 3)))

    with pytest.raises(UserError, match=r"FitNet: tap 'vector' gives \(2, 4\); tap a map"):
        Distiller(Pooled(4), teacher=Pooled(8), methods=[dict(type='FitNet', student='vector', teacher='vector')])


# -- the house -------------------------------------------------------------------------------------------------------------
FILES = sorted((ROOT / 'vkd/methods').glob('[!_]*.py'))


@pytest.mark.parametrize('path', FILES, ids=lambda p: p.stem)
def test_a_method_imports_neither_networks_nor_another_method(path):
    found = [node for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))) if isinstance(node, ast.ImportFrom)]
    for node in found:
        name = '.' * node.level + (node.module or '')
        assert not name.startswith(('..models', '..networks', 'mmseg', 'timm', 'vkd')) and node.level != 1, name
    assert any(node.module == 'registry' for node in found)


def test_every_method_stands_in_a_file_of_its_own():
    homes = [inspect.getmodule(METHODS.get(name)).__name__ for name in METHODS.module_dict]
    assert len(set(homes)) == len(homes) == len(FILES)
    assert all(issubclass(kind, Method) for kind in METHODS.module_dict.values())
    small = ('KL', 'CWD', 'AT', 'DIST', 'FitNet', 'FAKD', 'OutputKD', 'WaveletKD')
    assert all(len(inspect.getsource(inspect.getmodule(METHODS.get(name))).splitlines()) <= 45 for name in small)
