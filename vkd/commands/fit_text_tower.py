"""Fit the stand-in teacher of a zero-shot config. Its linear map is fitted on the training images and their seen labels."""

import argparse

from ..errors import UserError
from .line import add_config, config_of


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd fit-text-tower`` takes."""
    add_config(p)
    p.add_argument('--out', help='checkpoint to write; the one that the config names by default')
    p.add_argument('--strength', type=float, default=1e-2, help='of the ridge')


def main(args: argparse.Namespace) -> None:
    """Prints the file that was written, and how well the map fits."""
    import torch
    from mmengine.dataset import pseudo_collate

    from ..build.built import build_loader, scope
    from ..build.checkpoint import load_into
    from ..build.networks import build_model
    from ..io.files import write_whole
    from ..models.text_tower import fit_text_tower
    from ..registry import MODELS
    from ..text.embeddings import load_text_embeddings
    from ..text.zero_shot import zero_shot_split

    cfg = config_of(args)
    model = (cfg.model.get('teacher') or {}).get('model') or {}
    if model.get('type') != 'vkd.LinearTextTower':
        raise UserError(f'The teacher of {args.config!r} is {model.get("type")!r}, not vkd.LinearTextTower; give a config of the stand-in.')
    head = cfg.model.student.decode_head
    with scope(cfg):
        tower, preprocessor = build_model(model).eval(), MODELS.build(cfg.model.student.data_preprocessor)
        load_into(tower, cfg.model.student.checkpoint, 'teacher')
    cfg.train_dataloader.sampler = dict(type='DefaultSampler', shuffle=False, round_up=False)
    cfg.train_dataloader.dataset.pipeline = cfg.test_dataloader.dataset.pipeline
    batches = [preprocessor(pseudo_collate([sample]), False) for sample in build_loader(cfg, 'train_dataloader').dataset]
    labels = [torch.stack([s.gt_sem_seg.data[0].long() for s in b['data_samples']]) for b in batches]
    unseen = zero_shot_split(head.unseen).unseen if isinstance(head.unseen, str) else head.unseen
    rows = load_text_embeddings(head.text_embeddings).embeddings
    with torch.no_grad():
        found = fit_text_tower(tower, [b['inputs'] for b in batches], labels, rows, unseen, args.strength)
    out = args.out or cfg.model.teacher.checkpoint
    write_whole(out, lambda file: torch.save(dict(state_dict=tower.state_dict()), file))
    print(f'{out}: mean cosine {found:.3f} to the text of the labels of {len(labels)} images')
