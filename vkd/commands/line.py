"""What every command line of vkd shares."""

import argparse
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from ..errors import UserError, fix, sentence
from ..io.logs import VERBOSE


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows a default where there is one to show; paragraphs of a docstring stay apart, and indented ones as they are."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False, []) else super()._get_help_string(action)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = textwrap.dedent(text).strip().split('\n\n')
        return '\n\n'.join(p if p.startswith(' ') else super(_Help, self)._fill_text(p, width, indent) for p in paragraphs)


def parser(description: str | None, prog: str | None = None) -> argparse.ArgumentParser:
    """An ArgumentParser that shows its defaults and knows ``--debug``."""
    out = argparse.ArgumentParser(prog=prog, description=description, formatter_class=_Help)
    out.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return out


def parser_of(module: ModuleType, prog: str | None = None) -> argparse.ArgumentParser:
    """The parser of a command: its docstring, and what its ``arguments`` adds."""
    out = parser(module.__doc__, prog)
    module.arguments(out)
    return out


def add_config(p: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The arguments of a command that reads one mm config."""
    from mmengine.config import DictAction

    p.add_argument('config', help='config file: a path, or vkd::… of those that vkd ships (vkd list configs)')
    p.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default=None, metavar='KEY=VALUE', help='overrides of the config, such as a.b=1'
    )
    p.add_argument('--verbose', action='store_true', help="print mmengine's whole log: environment, config, hooks, initial weights")
    return p


def add_parts(p: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The five options of a command that takes parts in place of a config file, whose positional argument becomes optional."""
    for action in p._actions:
        if action.dest == 'config':
            action.nargs, action.required, action.help = '?', False, 'config file; or name its parts by the five options'
    group = p.add_argument_group('parts of a config, by name')
    group.add_argument('--student', help='network that learns, such as mit-b0')
    group.add_argument('--teacher', help='network that teaches it, such as mit-b2')
    group.add_argument('--method', help='how, such as KL; without it the student is trained alone')
    group.add_argument('--data', help='such as camvid-160x160')
    group.add_argument('--protocol', help='optimizer, schedule and length, such as crops')
    return p


def config_of(args: argparse.Namespace) -> Any:
    """The Config that a command was given, with its overrides. Raises UserError for one without a model."""
    from ..build.config import load_config

    cfg = load_config(args.config, args.cfg_options)
    if not isinstance(cfg.get('model'), dict):
        raise UserError(f'Config {args.config!r} has no model, so it is none of a run (of a suite?); give a training config.')
    return cfg


def add_launcher(p: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The arguments of a command that several processes may work on."""
    p.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='who started the processes')
    p.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by some launchers; the environment counts')
    return p


def command(main: Callable[[argparse.Namespace], Any], p: argparse.ArgumentParser, argv: Sequence[str] | None = None) -> Any:
    """Runs ``main(args)``; a UserError becomes one sentence on stderr and exit code 1, with a traceback only under ``--debug``; so do an
    interruption, and what mm or torch raise of a common mistake. Anything else keeps its traceback.
    """
    try:
        args = p.parse_args(argv)
        args.words = list(sys.argv[1:] if argv is None else argv)
    except ValueError as error:  # of mmengine's DictAction
        p.error(f'--cfg-options takes KEY=VALUE ({error})')
    if getattr(args, 'verbose', False):
        os.environ[VERBOSE] = '1'
    try:
        return main(args)
    except KeyboardInterrupt:
        sys.exit(f'interrupted; start again{" with --resume" if getattr(args, "resume", None) is False else ""}')
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        if args.debug or not error.filename:
            raise
        sys.exit(f'error: {error.strerror}: {error.filename!r}; fix the path, its rights, or make room.')
    except UserError as error:
        if args.debug:
            raise
        sys.exit(f'error: {sentence(error)}')
    except Exception as error:
        told = fix(error)
        if args.debug or not told:
            raise
        sys.exit(f'error: {sentence(error)} ({type(error).__name__}); {told}.')
