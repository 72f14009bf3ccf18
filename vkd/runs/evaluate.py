"""The scores of a checkpoint on a config's test set, without a run."""

import copy

from mmengine.dist import is_main_process

from ..build.checkpoint import load_into
from ..build.config import plain, teachers_of
from ..build.networks import student_of
from ..engine import build_runner
from ..models.heads.clip_semantic import set_text
from ..text.embeddings import load_text_embeddings
from .run import report_of


def filled_from(model, checkpoint):
    """The config of a Distiller whose networks that learnt are filled from a run's ``checkpoint``, whatever they started from; frozen
    teachers keep theirs.
    """

    def filled(role, name):
        return dict(role, checkpoint=str(checkpoint), prefix=f'{name}.', strict=True)

    out = dict(model, student=filled(model['student'], 'student'))
    if (model.get('teacher') or {}).get('trainable'):
        out['teacher'] = filled(model['teacher'], 'teacher')
    if model.get('teachers'):
        out['teachers'] = {name: filled(role, name) if role.get('trainable') else role for name, role in model['teachers'].items()}
    return out


def evaluate(cfg, checkpoint, folder, launcher='none', text=None):
    """Scores of ``checkpoint`` (a Distiller's, or the plain student's) on the test set of ``cfg``. Peers are evaluated too; frozen teachers
    and methods are not built.

    ``text``: a file of text embeddings, of the test set's classes in their order, for a ``ClipSemanticHead`` in place of those that it was
    trained with.

    None but on the first process. Raises UserError for text of other classes than the test set has.
    """
    cfg, peers = copy.deepcopy(cfg), {}
    if cfg.model.get('methods') is not None:
        model = filled_from(cfg.model, checkpoint)
        peers = {name: role for name, role in teachers_of(model).items() if role.get('trainable')}
        cfg.model = {
            k: v for k, v in (model if peers else cfg.model).items() if k not in ('teacher', 'teachers', 'methods', 'task_weight')
        } | dict(methods=[], teachers=peers)
        if not peers and cfg.model.student.get('checkpoint'):  # what it started from may be gone, and is not what is evaluated
            cfg.model.student = {k: v for k, v in cfg.model.student.items() if k != 'prefix'} | dict(
                checkpoint=str(checkpoint), strict=True
            )
    for key in (
        'train_dataloader',
        'val_dataloader',
        'train_cfg',
        'val_cfg',
        'optim_wrapper',
        'param_scheduler',
        'val_evaluator',
        'load_from',
    ):
        cfg[key] = None
    cfg.resume = False
    runner = build_runner(cfg, folder, launcher=launcher)
    network = student_of(runner.model)
    if not peers:  # of these the roles load their own
        load_into(network, checkpoint, 'student')
    if text:
        meta = runner.test_loop.dataloader.dataset.metainfo
        set_text(network, load_text_embeddings(text, classes=meta['classes']), [meta['classes'][i] for i in meta.get('unseen', ())])
    runner._has_loaded = True
    found = runner.test()
    scores = report_of(runner.test_loop) or plain(dict(found))
    if getattr(getattr(network, 'decode_head', None), 'synthetic', False):
        scores['synthetic_text'] = True
    return scores if is_main_process() else None
