"""Fit the linear map of the stand-in teacher of a zero-shot config, on its training images and their seen labels."""

import torch
from mmengine.dataset import pseudo_collate

from vkd.build.built import build_loader, scope
from vkd.build.checkpoint import load_into
from vkd.build.networks import build_model
from vkd.commands.line import add_config, command, config_of, parser
from vkd.errors import UserError
from vkd.io.files import write_whole
from vkd.models.text_tower import fit_text_tower
from vkd.registry import MODELS
from vkd.text.embeddings import load_text_embeddings
from vkd.text.zero_shot import zero_shot_split


def arguments():
    p = add_config(parser(__doc__))
    p.add_argument('--out', help='checkpoint to write; the one that the config names by default')
    p.add_argument('--strength', type=float, default=1e-2, help='of the ridge')
    return p


@torch.no_grad()
def main(args):
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
    found = fit_text_tower(
        tower, [b['inputs'] for b in batches], labels, load_text_embeddings(head.text_embeddings).embeddings, unseen, args.strength
    )
    out = args.out or cfg.model.teacher.checkpoint
    write_whole(out, lambda file: torch.save(dict(state_dict=tower.state_dict()), file))
    print(f'{out}: mean cosine {found:.3f} to the text of the labels of {len(labels)} images')


if __name__ == '__main__':
    command(main, arguments())
