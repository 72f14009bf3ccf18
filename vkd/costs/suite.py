"""What the networks and the kinds of steps of a suite cost."""

import torch

from ..build.built import build, first_batch, optim, with_model
from ..build.networks import forward_features, student_of
from ..distill.distiller import Distiller
from ..distill.taps import student_input
from ..models.restorers import Restorer
from .networks import inference, multiply_adds_720p, params_flops
from .steps import interleaved


def suite_profile(cfgs, rounds=5, device=None):
    """The content of a suite's ``profile.json``.

    Args:
        cfgs: ``{'student|teacher|method': Config}``, one of each distinct triple; teacher '-' and method 'alone' for the student
            alone, method 'teacher' for the run of a teacher, whose name then stands as student.
        rounds: interleaved rounds of each student's group of steps.
        device: default: the GPU, where there is one.

    Returns ``dict(models, steps)``: parameters, FLOPs and latency of each network at its own training size, of restorers of RGB
    images the multiply-adds at 1280x720; of each triple the ratio of its step to its student's own (median over rounds, with quartiles
    ``low`` and ``high``), on the first batch of its training set, or noise of that size where there are no data (``data`` says which).
    """
    device = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    keys = {tuple(k.split('|')): cfg for k, cfg in cfgs.items()}
    models, networks, steps = {}, {}, {}

    def note(name, network, shape):
        if name != '-' and name not in models:
            params, flops = params_flops(network, shape)
            models[name], networks[name] = dict(params=params, flops=flops, shape=list(shape)), network
            if isinstance(network, Restorer) and network.metainfo['channel_order'] == 'rgb':
                models[name]['multiply_adds_720p'] = multiply_adds_720p(network)

    for student in dict.fromkeys(k[0] for k in keys):
        own = sorted((k for k in keys if k[0] == student), key=lambda k: k[2] not in ('alone', 'teacher'))
        group, batches, shapes = {}, {}, {}
        for key in own:
            model = build(keys[key], device)
            batch, kind = first_batch(keys[key], model)
            with torch.no_grad():
                inputs = model.data_preprocessor(batch, True)['inputs']
                shape = tuple(student_input(inputs).shape)
                note(student, student_of(model), shape[1:])
                for role in list(model.roles.values())[:1] if isinstance(model, Distiller) else []:
                    note(key[1], role.module, tuple(role.input(inputs).shape[1:]))
            if not group and key[2] not in ('alone', 'teacher'):  # no baseline among the cells: the same student without methods
                alone = build(_alone(keys[key]), device)
                group[student, '-', 'alone'] = _stepper(keys[key], alone, batch)
                batches[student, '-', 'alone'], shapes[student, '-', 'alone'] = kind, shape
            group[key], batches[key], shapes[key] = _stepper(keys[key], model, batch), kind, shape
        if len(group) == 1 and own[0][2] == 'teacher':
            continue
        for key, took in interleaved(group, rounds, device=device).items():
            steps['|'.join(key)] = dict(
                ratio=round(took['ratio'], 4),
                low=round(took['low'], 4),
                high=round(took['high'], 4),
                seconds=round(took['seconds'], 5),
                shape=list(shapes[key]),
                data=batches[key],
            )
    for name, took in interleaved(
        {name: _looker(network, models[name]['shape']) for name, network in networks.items()}, 3 * rounds, 3, device
    ).items():
        models[name]['latency_ms'] = round(1000 * took['seconds'], 3)
    return dict(models=models, steps=steps)


def _looker(network, shape):
    """A call that looks at one image, in eval mode."""

    def look():
        with inference(network) as device:
            forward_features(network, torch.zeros(1, *shape, device=device))

    return look


def _alone(cfg):
    """``cfg`` with its student and neither teacher nor method."""
    return with_model(
        cfg, dict(type='vkd.Distiller', methods=[], **{k: cfg.model[k] for k in ('student', 'data_preprocessor') if k in cfg.model})
    )


def _stepper(cfg, model, batch):
    wrapper = optim(cfg, model)
    return lambda: model.train_step(batch, wrapper)
