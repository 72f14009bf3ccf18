"""One experiment in one folder: trained, tested, and described so that its numbers can be traced and made again."""

import errno
import fcntl
import os
import shlex
import socket
import time
import traceback
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from mmengine.dist import is_main_process

from ..build.checkpoint import resolve_checkpoint
from ..build.config import plain, teachers_of
from ..build.identity import baseline_config, baseline_fingerprint, experiment, experiment_fingerprint, fingerprint, weight_files
from ..engine import build_runner, last_checkpoint, processes, rank
from ..errors import UserError, sentence
from ..evaluation.scores import declared_by
from ..io.files import read_json, sha256, write_json, write_text, write_whole
from ..text.embeddings import synthetic_text
from .formats import FORMAT, run_digest
from .pictures import pictures
from .provenance import data_digest, git_state, hardware, versions


def rerun_command(config, folder, options):
    """The one command that makes a run again, in ``folder``."""
    settings = ['--cfg-options', *(f'{k}={v}' for k, v in options.items())] if options else []
    return shlex.join(['vkd', 'train', str(config), '--work-dir', str(folder), *settings])


def run(cfg, folder, info=None, resume=False, launcher='none', test=True, command=None, identity=None):
    """Trains ``cfg`` (a Config) in ``folder``, tests it on its test set, and writes what the leaderboard reads.

    Args:
        info: see ``experiment``; also ``suite`` and ``run`` (its name).
        resume: continue from the newest checkpoint; a finished run is left as it is.
        command: how to start it again, for run.json.
        identity: what tells this experiment from others; the config's fingerprint by default.

    Returns the scores that metrics.json holds, ``{'val': …, 'test': …}`` (on the first process; None on the others).

    Raises:
        UserError: when another process trains in ``folder``, when it holds a run of another config or, without ``resume``, any run, or for
            what the config gets wrong.
    """
    folder = Path(folder)
    cfg.work_dir = str(folder)
    if rank(launcher):
        if not resume or scores_of(folder, test and cfg.get('test_dataloader')) is None:
            _train_and_test(cfg, folder, resume, launcher, test)
        return None
    identity = identity or fingerprint(cfg)
    with locked(folder):
        claim(folder, identity)
        if not resume and trained(folder):
            raise UserError(
                f'Run folder {str(folder)!r} holds a run already; continue it with --resume, or choose another --work-dir.',
                code='run-exists',
            )
        known = scores_of(folder, test and cfg.get('test_dataloader')) if resume else None
        if known is not None:  # another process may have ended it since the caller looked
            return known
        facts, baselines = facts_of(cfg, folder, info or {}, identity, launcher, command)
        write_text(folder / 'config.py', cfg.pretty_text)
        write_json(folder / 'baselines.json', baselines)
        write_json(folder / 'run.json', facts)
        start, clock = datetime.now(timezone.utc), time.monotonic()
        state = dict(
            format=FORMAT,
            state='running',
            pid=os.getpid(),
            host=socket.gethostname(),
            started=start.isoformat(timespec='seconds'),
            ended=None,
            seconds=None,
            lines=[],
        )
        write_json(folder / 'state.json', state)

        def end(**facts):
            now = datetime.now(timezone.utc)  # which may have been set back meanwhile
            write_json(
                folder / 'state.json',
                dict(state, ended=now.isoformat(timespec='seconds'), seconds=round(time.monotonic() - clock, 1), **facts),
            )

        try:
            metrics, shown = _train_and_test(cfg, folder, resume, launcher, test)
            if shown:
                write_whole(folder / 'pictures.npz', lambda file: np.savez_compressed(file, **shown))
            write_json(folder / 'metrics.json', dict(format=FORMAT, **metrics, digest=run_digest(read_json(folder / 'run.json'), metrics)))
        except BaseException as error:
            with suppress(OSError):  # a full disk fails twice; the first failure is the one to tell
                end(state='failed', lines=last_lines(error))
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise UserError(
                    f'The disk of {str(folder)!r} is full; the last whole checkpoint was kept: make room and start again with --resume.',
                    code='disk-full',
                ) from error
            raise
        end(state='done')
        return scores_of(folder, test=False)


def facts_of(cfg, folder, info, identity, launcher='none', command=None):
    """``(what run.json says of a run, {fingerprint: config} of its baselines)``; see ``run`` for the arguments."""
    info = {**experiment(cfg), **info}
    roles = teachers_of(cfg.model)
    hashes = {file: _sha256(file) for file in weight_files(cfg.model, cfg.get('load_from'))}
    own = {name: baseline_config(cfg, hashes, name) for name in ('student', *(n for n, role in roles.items() if role.get('trainable')))}
    prints = {name: baseline_fingerprint(content) for name, content in own.items()}
    teacher = teacher_checkpoint(roles.get('teacher') or {})
    facts = dict(
        format=FORMAT,
        suite=info.pop('suite', None),
        run=info.pop('run', folder.name),
        **{k: v for k, v in info.items() if v is not None or k != 'named_by'},
        seed=(cfg.get('randomness') or {}).get('seed'),
        config=str(cfg.filename),
        fingerprint=identity,
        experiment=experiment_fingerprint(cfg),
        baseline=prints.pop('student'),
        **(dict(peer_baselines=prints) if prints else {}),
        max_iters=cfg.train_cfg.get('max_iters'),
        batch_size=cfg.train_dataloader.get('batch_size'),
        processes=processes(launcher),
        roles=['student', *roles],
        command=command or rerun_command(cfg.filename, folder, {}),
        teacher_checkpoint=teacher,
        teacher_sha256=_sha256(teacher),
        starts_from={name: dict(file=file, sha256=_sha256(file)) for name, file in _starts(cfg).items() if file},
        **(dict(synthetic_text=True) if synthetic_text(cfg.model) else {}),
        vkd=versions()['vkd'],
        git=git_state(),
        versions=versions(),
        hardware=hardware(),
    )
    return facts, {baseline_fingerprint(content): content for content in own.values()}


def teacher_checkpoint(role):
    """The file that a teacher's config names: its ``checkpoint``, or one that its network loads itself; None where there is none."""
    network = role.get('model') if isinstance(role.get('model'), dict) else role
    return role.get('checkpoint') or network.get('checkpoint') or (network.get('init_cfg') or {}).get('checkpoint')


def _starts(cfg):
    """``{name: file}`` of what else training starts from: weights of the student and of the other teachers, of parts of networks that
    learn, and ``load_from``.
    """
    roles = dict(teachers_of(cfg.model), student=cfg.model.get('student') or cfg.model)
    out = dict({name: teacher_checkpoint(role) for name, role in roles.items() if name != 'teacher'}, load_from=cfg.get('load_from'))
    known = set(out.values())
    return {**out, **{f'part {i}': file for i, file in enumerate(weight_files(cfg.model)) if file not in known}}


def _sha256(file):
    """Of a file, or of the one in an installed package that a ``pkg:`` name stands for; None where there is none."""
    try:
        return file and sha256(resolve_checkpoint(file))
    except UserError:
        return None


def trained(folder):
    """Whether ``folder`` holds a checkpoint or the scores of a run."""
    return last_checkpoint(folder) is not None or Path(folder, 'metrics.json').is_file()


def scores_of(folder, test=True):
    """The scores ``{'val': …, 'test': …}`` of a run that has ended well; a stage without a task has none of them, so its dict is empty.
    None for any other run, and, if ``test`` is True, for one without test scores.
    """
    ended = (read_json(Path(folder, 'state.json')) or {}).get('state') == 'done'
    metrics = read_json(Path(folder, 'metrics.json')) if ended else None
    return None if metrics is None or test and 'test' not in metrics else {k: v for k, v in metrics.items() if k in ('val', 'test')}


def last_lines(error, count=8):
    """The sentence of a UserError, or the end of any other error's traceback."""
    if isinstance(error, UserError):
        return [sentence(error)]
    if isinstance(error, KeyboardInterrupt):
        return ['interrupted']
    return ''.join(traceback.format_exception(error)).rstrip().splitlines()[-count:]


def _train_and_test(cfg, folder, resume, launcher, test):
    """``(what metrics.json holds, pictures)``."""
    runner = build_runner(cfg, folder, resume, launcher)
    runner.train()
    metrics, shown = dict(data_sha256={}), None
    metrics['data_sha256']['train'] = data_digest(runner.train_loop.dataloader.dataset)
    if runner._val_loop is not None:
        val = report_of(runner.val_loop)
        if val is None:  # resumed after its last validation, or of a metric that leaves no report
            found = runner.val()
            val = report_of(runner.val_loop) or plain(dict(found))
        metrics['val'], metrics['scores'] = val, declared_by(runner.val_loop.evaluator.metrics)
    if test and cfg.get('test_dataloader'):
        found = runner.test()
        metrics['test'] = report_of(runner.test_loop) or plain(dict(found))
        metrics['data_sha256']['test'] = data_digest(runner.test_loop.dataloader.dataset)
        metrics['scores'] = {**metrics.get('scores', {}), **declared_by(runner.test_loop.evaluator.metrics)}
        shown = pictures(runner) if is_main_process() else None
    return metrics, shown


def report_of(loop):
    """What the metric of a loop reports for metrics.json; None where it reports nothing."""
    evaluator = getattr(loop, 'evaluator', None)
    return next((m.report for m in getattr(evaluator, 'metrics', []) if getattr(m, 'report', None)), None)


@contextmanager
def locked(folder):
    """Holds ``folder`` against other processes; the system frees it when this one dies. Raises UserError (``Busy``) where another holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / '.lock', 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                f'Run folder {str(folder)!r} is in use by process {(read_json(folder / "state.json") or {}).get("pid", "?")}; wait for it, '
                'or choose another --work-dir.',
                code='busy',
            ) from None
        yield


class Busy(UserError):
    """Another process works in this folder."""


def claim(folder, own):
    """Raises UserError where ``folder`` holds a run of another config than the one with fingerprint ``own``. A folder with neither a
    checkpoint nor scores does not count as claimed.
    """
    known = read_json(folder / 'run.json')
    if known and known.get('fingerprint') != own and trained(folder):
        raise UserError(
            f'Run folder {str(folder)!r} holds a run of another config ({known.get("config")!r}, fingerprint {known.get("fingerprint")}, '
            f'now {own}); '
            'choose another --work-dir, or remove the folder.',
            code='other-run',
        )
