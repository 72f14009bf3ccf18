"""What a score is: its unit, whether more of it is better, and with how many digits it is shown."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import UserError, nearest


@dataclass(frozen=True)
class Score:
    """A number that a metric gives.

    Args:
        name: as the metric calls it, such as 'mIoU'.
        unit: '%', 'dB', 'HU', or '' for none.
        higher_is_better: False of an error or a distance.
        digits: after the decimal point, where it is shown.
    """

    name: str
    unit: str = ''
    higher_is_better: bool = True
    digits: int = 2

    @property
    def sign(self) -> int:
        """1 where more is better, else -1: ``sign * difference`` is a benefit."""
        return 1 if self.higher_is_better else -1

    @property
    def gain_unit(self) -> str:
        """Of a difference: percent become points."""
        return 'points' if self.unit == '%' else self.unit


MIOU, MACC, AACC = Score('mIoU', '%'), Score('mAcc', '%'), Score('aAcc', '%')
SEEN, UNSEEN, HIOU = Score('mIoU_seen', '%'), Score('mIoU_unseen', '%', digits=3), Score('hIoU', '%', digits=3)
PSNR, SSIM, RMSE = Score('PSNR', 'dB'), Score('SSIM', digits=4), Score('RMSE', 'HU', higher_is_better=False)

#: vkd's own, and those of mm's metrics that people name as the main one
KNOWN: dict[str, Score] = {
    score.name: score
    for score in (
        *(MIOU, MACC, AACC, SEEN, UNSEEN, HIOU, PSNR, SSIM, RMSE),
        *(
            Score(name, '%')
            for name in ('IoU', 'Acc', 'mDice', 'Dice', 'mFscore', 'Fscore', 'mPrecision', 'Precision', 'mRecall', 'Recall')
        ),
        *(Score(name, higher_is_better=False, digits=4) for name in ('MAE', 'MSE', 'NIQE', 'LPIPS')),
        Score('SNR', 'dB'),
    )
}


def score_of(key: str, declared: Mapping[str, Mapping[str, Any]] | None = None) -> Score:
    """The Score of a number called ``key``: ``'mIoU'``, or a form of it, such as ``'mIoU.dusk'`` (of a domain), ``'cnn/mIoU'`` (of a peer),
    ``'Set5 PSNR'`` (of a test set) and ``'mIoU under fog, severity 3'``.

    Args:
        declared: ``{name: dict(unit, higher_is_better, digits)}`` of metrics that vkd does not know, as their runs declare them.

    Raises:
        UserError: where nothing says whether more of it is better.
    """
    if key.startswith('% kept under'):  # of a clean score; its unit stands in its name
        return Score(key)
    known = {**KNOWN, **{name: Score(name, **own) for name, own in (declared or {}).items()}}
    plain = re.sub(r' \(seeds? [^)]*\)$', '', key).partition(' under ')[0].rpartition('/')[2]
    for name in (plain, plain.partition('.')[0], plain.rpartition(' ')[2]):
        if name in known:
            found = known[name]
            return Score(key, found.unit, found.higher_is_better, found.digits)
    raise UserError(
        f'Nothing says whether more of {key!r} is better; {nearest(key, known)}; for a metric of your own, declare it beside it, '
        f'declared_scores = (vkd.evaluation.Score({key!r}, unit, higher_is_better),).'
    )


def declared_in(evaluators: Any) -> dict[str, dict[str, Any]]:
    """``declared_by`` of the metrics that a config's evaluators build, one or a list, without building them."""
    from ..registry import METRICS  # mmengine's, which takes long to import

    configs = evaluators if isinstance(evaluators, (list, tuple)) else [evaluators]
    kinds = [config['type'] if isinstance(config['type'], type) else METRICS.get(config['type']) for config in configs]
    return declared_by(kind for kind in kinds if kind)


def declared_by(metrics: Iterable[Any]) -> dict[str, dict[str, Any]]:
    """``{name: dict(unit, higher_is_better, digits)}`` of the ``declared_scores`` of metrics."""
    out = {}
    for metric in metrics:
        for score in getattr(metric, 'declared_scores', ()):
            if not isinstance(score, Score):
                raise UserError(
                    f'{getattr(metric, "__name__", type(metric).__name__)}: declared_scores holds {score!r}; give vkd.evaluation.Score(name, unit, higher_is_better, digits).'
                )
            out[score.name] = {k: v for k, v in asdict(score).items() if k != 'name'}
    return out
