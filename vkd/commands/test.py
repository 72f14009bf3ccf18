"""Evaluate a checkpoint on the test set of a config. It may be of a run, or an exported student.

Example:

    vkd test vkd::alone/alone_narrow_quick_demo.py work_dirs/alone_narrow_quick_demo/iter_900.pth
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .line import add_config, add_launcher, config_of


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd test`` takes."""
    add_config(p)
    p.add_argument('checkpoint', help='checkpoint of a Distiller or of the plain student')
    p.add_argument('--work-dir', help='folder of the log; work_dirs/<config name>_test by default')
    p.add_argument('--json', metavar='FILE', help='write the scores there as well')
    p.add_argument(
        '--text-embeddings', metavar='FILE', help='for a CLIP semantic head: the classes of the test set, as vkd cache-text writes them'
    )
    add_launcher(p)


def told(scores: Mapping[str, Any]) -> str:
    """The numbers of a report, each with the digits and the unit of its score."""
    from ..evaluation.scores import KNOWN, Score

    known = [(KNOWN[k] if k in KNOWN else Score(k), v) for k, v in scores.items() if isinstance(v, float)]
    return ', '.join(f'{score.name} {v:.{score.digits}f}{f" {score.unit}" if score.unit not in ("", "%") else ""}' for score, v in known)


def main(args: argparse.Namespace) -> None:
    """Tests, and prints the scores of classes, of sets and of all."""
    from ..io.files import write_json
    from ..runs.evaluate import evaluate

    scores = evaluate(
        config_of(args),
        args.checkpoint,
        args.work_dir or Path('work_dirs', f'{Path(args.config).stem}_test'),
        args.launcher,
        args.text_embeddings,
    )
    if scores is None:  # not the first process
        return
    if args.json:
        write_json(args.json, scores)
    for name, value in zip(scores.get('classes', []), scores.get('IoU', []), strict=False):
        print(f'{name:>16}  {"-" if value is None else f"{value:.2f}"}')
    for name, own in scores.get('sets', {}).items():
        print(f'{name:>16}  {told(own)} ({own["images"]} images)')
    if scores.get('synthetic_text'):
        print('synthetic text: random rows name the classes')
    print(told(scores))
