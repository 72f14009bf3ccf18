"""Options that are chosen by trials: which points are tried, and which of them was the best on the validation set."""

import inspect
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..build.config import type_name
from ..errors import UserError, nearest
from ..evaluation.scores import Score
from ..io.files import read_json, write_json
from ..registry import METHODS
from .formats import FORMAT
from .run import Busy, locked, scores_of, trained

#: parts of a config that no trial may change: its seed, how long it trains, and what judges it
FIXED = ('randomness', 'train_cfg', 'val_cfg', 'val_dataloader', 'val_evaluator', 'test_cfg', 'test_dataloader', 'test_evaluator')


def points(space: Mapping[str, list], count: int, seed: int) -> list[dict[str, Any]]:
    """The options of each trial: the whole grid of ``space`` (``{dotted option: values}``; the last option changes fastest) where it has at
    most ``count`` points, else ``count`` of them, all different, drawn with ``seed`` and in the order of the grid.

    >>> len(points({'lr': [0.1, 0.2], 'tau': [1, 4]}, count=4, seed=0))
    4
    """
    shape = [len(values) for values in space.values()]
    size = math.prod(shape)
    drawn = range(size) if size <= count else sorted(np.random.default_rng(seed).choice(size, count, replace=False).tolist())
    return [
        {option: values[int(i)] for (option, values), i in zip(space.items(), np.unravel_index(number, shape), strict=True)}
        for number in drawn
    ]


def best_of(scores: list[float | None], score: Score) -> int | None:
    """Index of the best value of ``score``, of equal ones the first; None counts as worst. None where there is no value at all."""
    return max((i for i, value in enumerate(scores) if value is not None), key=lambda i: (score.sign * scores[i], -i), default=None)


def check_space(owner: str, space: Mapping[str, list], content: dict[str, Any], set_by_suite: Collection[str]) -> None:
    """Raises UserError where an option of ``space`` is none of the config ``content`` (nor of a method in it), is one of ``set_by_suite``,
    or changes what no trial may change.
    """
    for option in space:
        if option in set_by_suite or option.split('.')[0] in FIXED:
            raise UserError(
                f'{owner}: tune cannot change {option!r}: trials differ neither in seed, length, start nor in what judges them; leave it out.'
            )
        part, path = content, []
        for key in option.split('.'):
            known = _keys(part, path)
            if key not in known:
                raise UserError(
                    f'{owner}: tune names {option!r}, but {".".join(path) or "the config"} has no {key!r}; {nearest(key, known)}; write an '
                    'option that is left to its default into the options of the run first.'
                )
            part = part[int(key)] if isinstance(part, (list, tuple)) else part.get(key)
            path.append(key)


def _keys(part: Any, path: list[str]) -> list[str]:
    """What may follow ``path`` in a dotted option; of a method, also the options that are left to their defaults."""
    if isinstance(part, (list, tuple)):
        return [str(i) for i in range(len(part))]
    keys = list(part) if isinstance(part, Mapping) else []
    method = METHODS.get(type_name(part)) if path[:2] == ['model', 'methods'] and len(path) == 3 else None
    for base in method.__mro__ if method else ():
        if '__init__' in vars(base):
            options = list(inspect.signature(base.__init__).parameters.values())[1:]
            keys += [o.name for o in options if o.kind in (o.POSITIONAL_OR_KEYWORD, o.KEYWORD_ONLY)]
    return keys


@dataclass(frozen=True)
class Tuning:
    """The trials of one row of a suite, and what they led to.

    Args:
        space: ``{dotted option: values}``.
        seed: of the trials' training, and of the draw where not the whole grid is tried.
        score: of the validation set, by which the best is chosen.
        points: options of each trial.
        trials: names of the trials' cells, in the order of ``points``.
        identity: fingerprint of all this and of the trials' own configs.
        file: where the choice is kept once it is made: a restarted suite, or another process, makes no second one.
    """

    space: dict[str, list]
    seed: int
    score: Score
    points: list[dict[str, Any]]
    trials: list[str]
    identity: str
    file: Path

    def choice(self) -> dict[str, Any] | None:
        """``dict(space, trials, seed, metric, chosen, scores)``, as run.json holds it; None before the choice."""
        found = read_json(self.file)
        return found and {key: found[key] for key in ('space', 'trials', 'seed', 'metric', 'chosen', 'scores')}

    def chosen(self) -> dict[str, Any]:
        """The options of the best trial. Raises UserError before the choice."""
        found = read_json(self.file)
        if found is None:
            raise UserError(f'{str(self.file)!r} does not exist: the trials that choose options are not over; run vkd suite first.')
        return self.points[found['best']]

    def choose(self, folder: Path) -> bool | None:
        """Chooses among the trials in ``folder``, all of which have ended, and keeps the choice, unless one is kept already.

        Returns whether there is one: False where no trial has a score; None where another process is choosing just now.
        """
        scores = [self._score(folder / name) for name in self.trials]
        best = best_of(scores, self.score)
        if best is None:
            return False
        tried = [
            dict(options=options, score=score, run=name) for options, score, name in zip(self.points, scores, self.trials, strict=True)
        ]
        facts = dict(
            space=self.space, trials=len(self.trials), seed=self.seed, metric=self.score.name, chosen=self.points[best], scores=tried
        )
        try:
            with locked(self.file.parent):
                if not self.file.is_file():
                    write_json(self.file, dict(format=FORMAT, best=best, **facts))
        except Busy:
            return None
        return True

    def _score(self, own: Path) -> float | None:
        """The score in a trial's folder; None if the trial failed or diverged."""
        score = ((scores_of(own, test=False) or {}).get('val') or {}).get(self.score.name)
        return score if isinstance(score, (int, float)) and math.isfinite(score) else None

    def differs(self, own: Path) -> bool:
        """Whether the run in the folder ``own`` was trained with options that were chosen otherwise."""
        known = (read_json(own / 'run.json') or {}).get('tuning') if trained(own) else None
        return known is not None and json.dumps(known['chosen']) != json.dumps(self.chosen())
