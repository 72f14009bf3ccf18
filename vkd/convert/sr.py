"""Names and layouts of published super-resolution weights, to those of ``vkd.models.restorers`` and back.

All are of the network alone; a checkpoint of a ``Restorer`` has ``backbone.`` before each name. What is told of the layouts was read in the
authors' code: Zheng222/IMDN, njulj/RFDN, sanghyun-son/EDSR-PyTorch and yulunzhang/RCAN. Of IMDN_RTC, whose published file need not have the
names of that code, the order of the tensors and their shapes say which is which.
"""

import re

import torch

from ..errors import UserError, nearest
from ..models.restorers.edsr import MEAN
from ..models.restorers.imdn import SCALES
from ..models.restorers.imdn_rtc import IMDN_RTC

#: (pattern of the official name, ours), tried in order; {i} is a number, counted from 1 there and from 0 here where ``{i-1}`` stands on our
#: side
_IMDB = [
    (r'IMDB{i}.c{j}.', 'body.{i-1}.conv{j}.'),
    (r'IMDB{i}.cca.conv_du.0.', 'body.{i-1}.cca.conv1.'),
    (r'IMDB{i}.cca.conv_du.2.', 'body.{i-1}.cca.conv2.'),
]
_TRUNK = [('c.0.', 'fuse.'), ('LR_conv.', 'conv_after_body.'), ('upsampler.0.', 'upsample.conv.')]
_RFDB = [
    (r'B{i}.c{j}_d.', 'body.{i-1}.distil{j}.'),
    (r'B{i}.c{j}_r.', 'body.{i-1}.refine{j}.'),
    (r'B{i}.c{j}.', 'body.{i-1}.conv{j}.'),
    (r'B{i}.esa.{name}.', 'body.{i-1}.esa.{name}.'),
]
_TAIL = [('tail.0.{even}.', 'upsample.{half}.conv.'), ('tail.1.', 'conv_last.')]
NAMES = dict(
    IMDN=[('fea_conv.', 'conv_first.'), *_IMDB, *_TRUNK],
    IMDN_AS=[('fea_conv.{i}.', 'conv_first.{i}.'), *_IMDB, *_TRUNK],
    IMDN_RTC=[
        ('model.0.', 'conv_first.'),
        ('model.1.sub.{i}.c{j}.', 'body.{i}.conv{j}.'),
        ('model.1.sub.{last}.', 'conv_after_body.'),
        ('model.2.', 'upsample.conv.'),
    ],
    RFDN=[('fea_conv.', 'conv_first.'), *_RFDB, *_TRUNK],
    EDSR=[
        ('head.0.', 'conv_first.'),
        ('body.{i}.body.0.', 'body.{i}.conv1.'),
        ('body.{i}.body.2.', 'body.{i}.conv2.'),
        ('body.{last}.', 'conv_after_body.'),
        *_TAIL,
    ],
    RCAN=[
        ('head.0.', 'conv_first.'),
        ('body.{i}.body.{j}.body.0.', 'body.{i}.blocks.{j}.conv1.'),
        ('body.{i}.body.{j}.body.2.', 'body.{i}.blocks.{j}.conv2.'),
        ('body.{i}.body.{j}.body.3.conv_du.0.', 'body.{i}.blocks.{j}.attention.conv1.'),
        ('body.{i}.body.{j}.body.3.conv_du.2.', 'body.{i}.blocks.{j}.attention.conv2.'),
        ('body.{i}.body.{lastj}.', 'body.{i}.conv.'),
        ('body.{last}.', 'conv_after_body.'),
        *_TAIL,
    ],
)
_GROUPS = {
    '{i}': r'(?P<i>\d+)',
    '{j}': r'(?P<j>\d+)',
    '{even}': r'(?P<even>\d+)',
    '{half}': r'(?P<half>\d+)',
    '{name}': r'(?P<name>\w+)',
    '{last}': r'(?P<last>\d+)',
    '{lastj}': r'(?P<lastj>\d+)',
    '{i-1}': r'(?P<i>\d+)',
}


def _match(pattern, name):
    """The numbers of ``name`` where it is ``pattern`` plus ``weight`` or ``bias``; None where it is not."""
    parts = re.split(r'(\{[^}]+\})', pattern)
    found = re.match(''.join(_GROUPS.get(p) or re.escape(p) for p in parts) + r'(?P<rest>weight|bias)$', name)
    return found and {k: v if k in ('name', 'rest') else int(v) for k, v in found.groupdict().items()}


def _shifts(sign):
    """The frozen 1x1 convolution that takes (-1) or adds (1) DIV2K's mean on 0 to 255, as EDSR's and RCAN's files hold it."""
    return dict(weight=torch.eye(3).view(3, 3, 1, 1), bias=sign * 255 * torch.tensor(MEAN))


def _known(network):
    if network not in NAMES:
        raise UserError(f'Network {network!r} has no official layout here; {nearest(network, NAMES)}.')
    return NAMES[network]


#: what only the names of one network look like: officially, and here; IMDN_AS before IMDN, RCAN before EDSR
_SIGNS = dict(
    IMDN_AS=(r'fea_conv\.2\.', r'conv_first\.2\.'),
    IMDN=(r'IMDB1\.cca\.', r'body\.0\.cca\.'),
    RFDN=(r'B1\.c1_d\.', r'body\.0\.distil1\.'),
    RCAN=(r'body\.0\.body\.0\.body\.3\.', r'body\.0\.blocks\.'),
    EDSR=(r'body\.0\.body\.0\.weight', r'body\.0\.conv1\..* conv_last'),
    IMDN_RTC=(r'model\.1\.sub\.0\.c1\.', r'body\.0\.conv5\.'),
)


def recognise(state, official=True):
    """Which network the tensor names in ``state`` belong to, in the official layout or in ours. Raises UserError where no network has
    them.
    """
    names = [plain_name(k) for k in state]
    for network, signs in _SIGNS.items():
        if any(
            re.match(signs[not official], f'{name} conv_last' if any(n.startswith('conv_last.') for n in names) else name) for name in names
        ):
            return network
    if official and not _order_problem(state):
        return 'IMDN_RTC'
    raise UserError(
        f'These names are of no network that is known here, for example {next(iter(sorted(names)), "none at all")!r}; give '
        f'{"official weights" if official else "weights"} of {", ".join(NAMES)}.'
    )


def goes_by_order(state, network):
    """Whether the official weights ``state`` of ``network`` are told apart by their order, since their names are not the authors' code's."""
    rules = [theirs for theirs, _ in _known(network)]
    return network == 'IMDN_RTC' and not all(any(_match(theirs, plain_name(key)) for theirs in rules) for key in state)


def _rtc_shapes(state):
    """``{name here: shape}`` of the IMDN_RTC that has as many tensors as ``state``, and its first and last weight; None where there is
    none.
    """
    shapes, blocks = [tuple(v.shape) for v in state.values()], (len(state) - 6) / 10
    if blocks < 1 or blocks != int(blocks) or len(shapes[0]) != 4 or shapes[0][0] % 4:
        return None
    scale = next((n for n in SCALES if shapes[-1] == (3 * n**2,)), None)
    if scale is None:
        return None
    with torch.device('meta'):
        return {k: tuple(v.shape) for k, v in IMDN_RTC(scale, shapes[0][0], int(blocks)).state_dict().items()}


def _order_problem(state):
    """Why ``state`` is no IMDN_RTC in the order of its layers; None where it is one."""
    wanted = _rtc_shapes(state)
    if wanted is None:
        return f'{len(state)} tensors with these first and last shapes are no IMDN_RTC (a first convolution, ten tensors a block, two more)'
    for (key, value), (name, shape) in zip(state.items(), wanted.items(), strict=True):
        if tuple(value.shape) != shape or key.rpartition('.')[2] != name.rpartition('.')[2]:
            return f'{key!r} of shape {tuple(value.shape)} stands where {name!r} of shape {shape} is expected'
    return None


def plain_name(key):
    """``key`` without what wraps a network: ``module.``, ``student.``, ``backbone.``."""
    for prefix in ('module.', 'student.', 'backbone.'):
        key = key.removeprefix(prefix)
    return key


def official_to_vkd(state, network=None):
    """Official weights -> ``state_dict`` of the network of that name here; ``network`` is recognised where it is not given.

    A prefix ``module.`` is dropped. Tensors of an IMDN_RTC with other names than its authors' code gives are taken in their order
    (``goes_by_order``), all shapes checked. EDSR's and RCAN's mean shifts are part of the network here, not of its weights: they must be DIV2K's.

    Raises UserError for a tensor that has no place, or another mean.
    """
    network = network or recognise(state)
    rules, out = _known(network), {}
    if goes_by_order(state, network):
        problem = _order_problem(state)
        if problem:
            raise UserError(f'These weights are not those of an IMDN_RTC in the order of its layers: {problem}; give the published file.')
        return dict(zip(_rtc_shapes(state), state.values(), strict=True))
    for key, value in state.items():
        name = key.removeprefix('module.')
        shift = re.match(r'(sub|add)_mean\.(weight|bias)$', name)
        if shift and network in ('EDSR', 'RCAN'):
            wanted = _shifts(-1 if shift[1] == 'sub' else 1)[shift[2]]
            if value.shape != wanted.shape or not torch.allclose(value.float(), wanted, atol=2e-2):
                raise UserError(
                    f"Tensor {key!r} is not the shift by DIV2K's mean on 0 to 255 ({[round(float(v), 2) for v in wanted.flatten()][:3]}) "
                    f"that {network} has here; these weights were trained on another range."
                )
            continue
        for theirs, ours in rules:
            own = _match(theirs, name)
            if own:
                target = ours.replace('{i-1}', str(own.get('i', 0) - 1)).replace('{half}', str(own.get('even', 0) // 2))
                out[target.format(**own) + own['rest']] = value
                break
        else:
            raise UserError(f'Tensor {key!r} has no place in {network}; is this an official checkpoint of {network}?')
    return out


def vkd_to_official(state, network=None):
    """The inverse of ``official_to_vkd``; ``student.`` and ``backbone.`` before names are dropped. Raises UserError for a tensor that has
    no counterpart.
    """
    network = network or recognise(state, official=False)
    state = {plain_name(k): v for k, v in state.items()}
    depth = 1 + max((int(m[1]) for m in (re.match(r'body\.(\d+)\.', k) for k in state) if m), default=-1)
    inner = 1 + max((int(m[1]) for m in (re.match(r'body\.\d+\.blocks\.(\d+)\.', k) for k in state) if m), default=-1)
    out = {}
    if network in ('EDSR', 'RCAN'):
        out.update({f'sub_mean.{k}': v for k, v in _shifts(-1).items()})
    for key, value in state.items():
        for theirs, ours in _known(network):
            own = _match(ours, key)
            if own:
                numbers = {**own, 'even': 2 * own.get('half', 0), 'last': depth, 'lastj': inner}
                numbers['i'] = own['i'] + 1 if '{i-1}' in ours else own.get('i')
                out[theirs.format(**numbers) + own['rest']] = value
                break
        else:
            raise UserError(f'Tensor {key!r} has no counterpart in the official {network}; give a checkpoint of that network.')
    if network in ('EDSR', 'RCAN'):
        out.update({f'add_mean.{k}': v for k, v in _shifts(1).items()})
    return out
