"""How much of its mIoU a network keeps under common corruptions of the test images."""

import copy
from pathlib import Path

from ..errors import UserError, nearest
from .corruptions import CORRUPTIONS
from .variants import evaluate_variants

SEVERITIES = (1, 2, 3, 4, 5)


def corrupted(dataset, name, severity, seed=0):
    """A data set config whose pipeline, or those of the data sets inside it, corrupts right behind the step that loads the image.

    Raises UserError where there is no pipeline.
    """
    dataset = copy.deepcopy(dict(dataset))
    inner = [k for k in ('datasets', 'dataset') if dataset.get(k)]
    if inner:
        key = inner[0]
        dataset[key] = (
            [corrupted(d, name, severity, seed) for d in dataset[key]]
            if key == 'datasets'
            else corrupted(dataset[key], name, severity, seed)
        )
    elif dataset.get('pipeline'):
        first, *rest = dataset['pipeline']
        dataset['pipeline'] = [first, dict(type='vkd.Corrupt', name=name, severity=severity, seed=seed), *rest]
    else:
        raise UserError(
            f'The test set ({dataset.get("type")}) has no pipeline in which to corrupt its images; give test_dataloader.dataset a pipeline '
            'that begins by loading.'
        )
    return dataset


def evaluate_corruptions(
    cfg, checkpoint, folder, names=CORRUPTIONS, severities=SEVERITIES, seed=0, launcher='none', tell=lambda line: None
):
    """``robustness.evaluate_variants`` of each corruption at each severity, into ``folder / 'corruptions.json'``; cells are named
    ``<name>-<severity>``.

    Raises:
        UserError: for an unknown corruption or severity, or none, or a folder with results of another config, checkpoint or seed.
    """
    wrong = next((n for n in names if n not in CORRUPTIONS), None) or next((str(s) for s in severities if s not in SEVERITIES), None)
    if not names or not severities:
        raise UserError('No corruption or no severity is named; name some, such as fog at 1, 3 and 5.')
    if wrong:
        raise UserError(f'Corruption or severity {wrong!r} is unknown; {nearest(wrong, [*CORRUPTIONS, *SEVERITIES])}.')

    def change(name, severity):
        def into(own):
            own.test_dataloader.dataset = corrupted(own.test_dataloader.dataset, name, severity, seed)

        return into

    return evaluate_variants(
        cfg,
        checkpoint,
        Path(folder, 'corruptions.json'),
        {f'{n}-{s}': change(n, s) for n in names for s in severities},
        seed,
        launcher,
        tell,
    )
