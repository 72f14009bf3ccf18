"""Pictures of what a network makes of few views: windows, errors, sinograms."""

import matplotlib.figure
import numpy as np
import torch
from mmengine.dataset import pseudo_collate

from ..build.built import build, build_loader, with_model
from ..errors import UserError
from ..io.files import write_whole
from ..physics.fan_beam import project
from ..physics.hounsfield import WINDOWS, mu_to_hu
from ..runs.evaluate import filled_from


@torch.no_grad()
def ct_picture(cfg, checkpoint, images, out, split='test', windows=WINDOWS, error=100):
    """Writes a figure: for each slice a row a window with the back-projection of few views, the restored slice, the truth, and both errors
    in HU, and a row of sinograms (few views, all views).

    Args:
        cfg: Config of a Distiller behind a SparseViewCTPreprocessor.
        checkpoint: of its run.
        images: indices in the split.
        windows: ``(width, level)`` in HU.
        error: HU at which the colours of errors end.

    Raises UserError for another kind of config, or an index beyond the split.
    """
    model, dataset = build(with_model(cfg, filled_from(cfg.model, checkpoint))).eval(), build_loader(cfg, f'{split}_dataloader').dataset
    scanner = model.data_preprocessor
    if not hasattr(scanner, 'sparse'):
        raise UserError(f'Config {cfg.filename!r} has no scanner; give one whose data_preprocessor is a SparseViewCTPreprocessor.')
    rows, columns = len(images) * (len(windows) + 1), 5
    figure = matplotlib.figure.Figure(figsize=(2.2 * columns, 2.3 * rows), layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for k, index in enumerate(images):
        if not 0 <= index < len(dataset):
            raise UserError(f'Split {split!r} has {len(dataset)} slices, so there is no index {index}; give 0 to {len(dataset) - 1}.')
        item = dataset[index]
        batch = scanner(pseudo_collate([item]), False)
        sample = model(**batch, mode='predict')[0]
        seen, restored, truth = (mu_to_hu(x.float()).cpu().numpy()[0] for x in (batch['inputs'][0], sample.pred_img, sample.gt_img))
        name = f'{sample.get("patient", "")} {index}'.strip()
        for j, (width, level) in enumerate(windows):
            own = axes[k * (len(windows) + 1) + j]
            for axis, (title, hu) in zip(
                own,
                {f'{scanner.sparse.views} views': seen, 'restored': restored, f'{scanner.full.views} views (truth)': truth}.items(),
                strict=False,
            ):
                axis.imshow(hu, cmap='gray', vmin=level - width / 2, vmax=level + width / 2)
                axis.set_title(f'{title}\n{name}, {width}/{level}', fontsize=7)
            low, high = level - width / 2, level + width / 2
            for axis, (title, hu) in zip(own[3:], {f'{scanner.sparse.views} views': seen, 'restored': restored}.items(), strict=False):
                difference = np.clip(hu, low, high) - np.clip(truth, low, high)
                drawn = axis.imshow(difference, cmap='RdBu_r', vmin=-error, vmax=error)
                axis.set_title(f'{title} − truth\nRMSE {np.sqrt((difference**2).mean()):.0f} HU', fontsize=7)
            figure.colorbar(drawn, ax=own[3:].tolist(), shrink=0.8, label='HU')
        mu = item['inputs'][None].to(batch['inputs'])
        own = axes[k * (len(windows) + 1) + len(windows)]
        for axis, geometry in zip(own, (scanner.sparse, scanner.full), strict=False):
            axis.imshow(project(mu, geometry)[0, 0].cpu().numpy() * geometry.pixel_cm, cmap='gray', aspect='auto', interpolation='nearest')
            axis.set_title(f'sinogram, {geometry.views} views', fontsize=7)
    write_whole(out, lambda file: figure.savefig(file, format='png', dpi=110))
