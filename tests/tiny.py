"""Networks, batches and configs that train in a blink, shared by the tests."""

import inspect
import json
import multiprocessing
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from vkd import METHODS

ROOT = Path(__file__).parent.parent
CLASSES = 9


def segmentor(width=8, classes=CLASSES, dropout=0.0, norm='BN', checkpointing=False):
    return dict(
        type='mmseg.EncoderDecoder',
        data_preprocessor=dict(type='mmseg.SegDataPreProcessor', mean=[127.5] * 3, std=[64.0] * 3, bgr_to_rgb=True, size_divisor=32),
        backbone=dict(
            type='mmseg.MixVisionTransformer',
            embed_dims=width,
            num_layers=[1] * 4,
            num_heads=[1] * 4,
            drop_rate=dropout,
            drop_path_rate=dropout,
            with_cp=checkpointing,
        ),
        decode_head=dict(
            type='mmseg.SegformerHead',
            in_channels=[width] * 4,
            in_index=[0, 1, 2, 3],
            channels=8,
            num_classes=classes,
            dropout_ratio=dropout,
            norm_cfg=dict(type=norm, **(dict(num_groups=2) if norm == 'GN' else {})),
            align_corners=False,
        ),
        test_cfg=dict(mode='whole'),
    )


def resnet(width=8, classes=CLASSES, groups=2):
    """A ResNet-18 with group norm: no statistics over the batch."""
    norm = dict(type='GN', num_groups=groups)
    return dict(
        segmentor(width, classes),
        backbone=dict(
            type='mmseg.ResNetV1c',
            depth=18,
            stem_channels=width,
            base_channels=width,
            strides=(1, 2, 2, 2),
            dilations=(1, 1, 1, 1),
            norm_cfg=norm,
        ),
        decode_head=dict(segmentor(width, classes)['decode_head'], in_channels=[width, 2 * width, 4 * width, 8 * width], norm_cfg=norm),
    )


#: what a method needs beyond its defaults on these networks; InfoNCE depends on how many images all processes hold, which is tested apart
_SCORES = dict(student='decode_head.conv_seg', teacher='decode_head.conv_seg')
OPTIONS = dict(
    GloReDi=dict(_SCORES, memory_size=4),
    ChimeraSeg=dict(student='backbone[3]', teacher='backbone[3]', mode='cosine'),
    OutputKD=_SCORES,
    WaveletKD=_SCORES,
    # of two places, the deepest stage, an L1 between affinities is all kink
    FAKD=dict(student='backbone[0]', teacher='backbone[0]'),
)


#: cases of a method beside its variants: options by which other parameters of it learn, or other terms are there
OPTION_CASES = {
    'TransKD:base, one stage': dict(embedding_stage=1),
    'TransKD:base, no stage': dict(embedding_stage=0),
    'TransKD:gl, without the deepest': dict(variant='gl', embedding_weights=(0.1, 0.1, 0.5, 0.0)),
    'TransKD:ea, one stage': dict(variant='ea', embedding_stage=2),
    # a batch norm over two pooled values is all sign: of 64 channels with these initial weights, bfloat16 turns some round
    'TransKD:base, two squeezes': dict(legacy_batch1=True, mid_channels=32),
    'GKD:no mask': dict(mask_weight=0),
    'GKD:mask alone': dict(feat_weight=0, cls_weight=0),
    'CTCL:pixels alone': dict(hfd_weight=0, region_weight=0),
    'CTCL:low layers alone': dict(region_weight=0, pixel_weight=0),
    'FeatureKD:at': dict(loss='at'),
    'FitNet:two pairs': dict(student=['backbone[2]', 'backbone[3]'], teacher=['backbone[2]', 'backbone[3]']),
    'KDCL:general': dict(mode='general'),
}


def method(name):
    """A config of a registered method: its defaults, and the deepest stage for taps that have none; ``name`` may end in ``:variant``, or be
    one of ``OPTION_CASES``.
    """
    more = OPTION_CASES.get(name)
    name, _, variant = name.partition(':')
    more = (dict(variant=variant) if variant else {}) if more is None else more
    needed = {
        k: 'backbone[3]'
        for k, p in inspect.signature(METHODS.get(name)).parameters.items()
        if k in ('student', 'teacher') and p.default is p.empty
    }
    return dict(type=name, **{**needed, **OPTIONS.get(name, {}), **more})


#: every registered method, each of its variants, and each case of its options
METHOD_CASES = [
    case
    for n in sorted(METHODS.module_dict)
    for case in (
        *(f'{n}:{v}' if v else n for v in getattr(METHODS.get(n), 'variants', [''])),
        *(case for case in OPTION_CASES if case.partition(':')[0] == n),
    )
]


def tiny_clip(kind='vit'):
    """The open_clip name of a CLIP of few weights, 16 wide: a ViT of 3 blocks on 32x32 in patches of 8, or a ResNet ('resnet')."""
    import open_clip

    name = f'vkd-tiny-{kind}'
    if name not in open_clip.list_models():
        vision = (
            dict(image_size=32, layers=3, width=32, head_width=16, patch_size=8)
            if kind == 'vit'
            else dict(image_size=32, layers=[1, 1, 1, 3], width=8, patch_size=None)
        )
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, f'{name}.json').write_text(
                json.dumps(
                    dict(
                        embed_dim=16,
                        quick_gelu=True,
                        vision_cfg=vision,
                        text_cfg=dict(context_length=77, vocab_size=49408, width=16, heads=2, layers=1),
                    )
                )
            )
            open_clip.add_model_config(Path(folder))
    return name


def clip_segmentor(text=None, unseen=(7, 8), width=8, kind='vit', norm='BN', **head):
    """``segmentor`` with a ``ClipSemanticHead`` of a tiny random CLIP."""
    plain = segmentor(width, norm=norm)
    return dict(
        plain,
        decode_head=dict(
            type='vkd.ClipSemanticHead',
            inner=plain['decode_head'],
            num_classes=CLASSES,
            clip=dict(name=tiny_clip(kind), random=True),
            text_embeddings=text,
            unseen=unseen,
            **head,
        ),
    )


def distiller(*methods, student=None, teacher=None, **more):
    return dict(type='vkd.Distiller', student=student or segmentor(8), teacher=teacher or segmentor(16), methods=list(methods), **more)


def peers(*methods, first=None, second=None, **more):
    """A student and a peer named vit that learns beside it."""
    return dict(
        type='vkd.Distiller',
        student=first or segmentor(8),
        teachers=dict(vit=dict(model=second or segmentor(16), trainable=True)),
        methods=list(methods),
        **more,
    )


def batch(n=2, size=(32, 64), classes=CLASSES, seed=0):
    random = torch.Generator().manual_seed(seed)
    samples = [
        SegDataSample(
            metainfo=dict(ori_shape=size, img_shape=size, pad_shape=size),
            gt_sem_seg=PixelData(data=torch.randint(classes, (1, *size), generator=random)),
        )
        for _ in range(n)
    ]
    return dict(inputs=[torch.randint(256, (3, *size), generator=random, dtype=torch.uint8) for _ in range(n)], data_samples=samples)


def _in_group(rank, function, path, args, out):
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{path}', rank=rank, world_size=2)
    out.put((rank, function(*args)))
    dist.barrier()
    dist.destroy_process_group()


def distributed(model, **more):
    from mmengine.model import MMDistributedDataParallel

    return MMDistributedDataParallel(model, device_ids=None, **more)


def mine(data):
    """This process's share of a batch: all of it, or of two processes the first or the second half."""
    import torch.distributed as dist

    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    share = len(data['inputs']) // world
    return {k: v[rank * share : (rank + 1) * share] for k, v in data.items()}


def step_of(model, data, wrapper, step=lambda model, data, wrapper: model.train_step(data, wrapper)):
    """``(loss, what was added to all parameters, a vector)`` of a training step on this process's share of ``data``."""
    before = [p.detach().clone() for p in model.parameters()]
    loss = step(model, mine(data), wrapper)['loss'].item()
    return loss, torch.cat([(p.detach() - q).flatten() for p, q in zip(model.parameters(), before, strict=False)]).numpy()


def check_steps(first, second, whole=None):
    """Two processes saw other halves and moved alike; where the step on the ``whole`` batch is given, as that did."""
    assert first[0] != second[0] and np.array_equal(first[1], second[1])
    if whole is not None:
        assert (first[0] + second[0]) / 2 == pytest.approx(whole[0], rel=1e-5)
        np.testing.assert_allclose(first[1], whole[1], rtol=1e-3, atol=2e-4 * np.abs(whole[1]).max())


def in_two_processes(function, folder, *args):
    """``{rank: function(*args)}`` of two processes of one group."""
    context = multiprocessing.get_context('spawn')
    out = context.Queue()
    processes = [context.Process(target=_in_group, args=(rank, function, folder / 'meet', args, out)) for rank in range(2)]
    for process in processes:
        process.start()
    found = dict(out.get(timeout=240) for _ in processes)
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return found


def build(cfg, seed=0):
    from mmengine.registry import DefaultScope

    from vkd.build.networks import build_model

    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = build_model(cfg)
        model.init_weights()
    return model.train()


def losses(model, data):
    return model(**model.data_preprocessor(data, True), mode='loss')


def total(model, data):
    return model.parse_losses(losses(model, data))[0]


def config(model, folder, iters=6, interval=3, **more):
    """A config over drawn scenes of 32x48, validated in the middle and tested at the end."""

    def loader(split, length, size, **sampler):
        steps = [dict(type='vkd.DrawScene'), *([dict(type='RandomFlip', prob=0.5)] if split == 'train' else []), dict(type='PackSegInputs')]
        return dict(
            batch_size=size,
            num_workers=0,
            sampler=sampler,
            dataset=dict(type='vkd.DemoDataset', split=split, length=length, size=(32, 48), pipeline=steps),
        )

    cfg = Config.fromfile(ROOT / 'configs/_base_/runtime.py')
    cfg.merge_from_dict(
        dict(
            model=model,
            work_dir=str(folder),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=iters, val_interval=interval),
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3)),
            param_scheduler=[dict(type='OneCycleLR', eta_max=1e-3, total_steps=iters, by_epoch=False)],
            train_dataloader=loader('train', 8, 2, type='InfiniteSampler', shuffle=True),
            val_dataloader=loader('val', 3, 2, type='DefaultSampler', shuffle=False, round_up=False),
            test_dataloader=loader('test', 3, 2, type='DefaultSampler', shuffle=False, round_up=False),
            val_evaluator=dict(type='vkd.SegMetric'),
            test_evaluator=dict(type='vkd.SegMetric'),
        )
    )
    cfg.default_hooks.checkpoint.interval = interval
    cfg.default_hooks.logger.interval = 1
    cfg.log_level = 'ERROR'
    cfg.merge_from_dict(more)
    path = Path(folder).parent / f'{Path(folder).name}.py'
    path.parent.mkdir(parents=True, exist_ok=True)
    cfg.dump(path)
    return Config.fromfile(path)


def restorer(kind='IMDN', scale=2, checkpointing=False, **more):
    """A super-resolution network of few weights."""
    small = dict(
        IMDN=dict(channels=8, blocks=2),
        IMDN_RTC=dict(channels=8, blocks=2),
        RFDN=dict(channels=8, blocks=2),
        EDSR=dict(channels=12, blocks=2),
        RCAN=dict(channels=12, groups=2, blocks=1, reduction=4),
    )[kind]
    return dict(type='vkd.Restorer', backbone=dict(type=kind, scale=scale, with_cp=checkpointing, **{**small, **more}))


def image_batch(n=2, size=(16, 24), scale=2, seed=0):
    from mmengine.structures import BaseDataElement

    random = torch.Generator().manual_seed(seed)

    def draw(factor):
        return torch.randint(256, (3, factor * size[0], factor * size[1]), generator=random, dtype=torch.uint8)

    return dict(
        inputs=[draw(1) for _ in range(n)], data_samples=[BaseDataElement(metainfo=dict(name=str(i)), gt_img=draw(scale)) for i in range(n)]
    )


class Power(Hook):
    """The plug is pulled after iteration ``at``."""

    def __init__(self, at):
        self.at = at

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.at:
            raise InterruptedError


def killed_and_resumed(cfg, folder, at):
    """``(runner of a whole run, runner of one that was killed after iteration ``at`` and resumed)`` of ``cfg(name)``, a config whose work
    dir is ``folder / name``; both ended in equal weights.
    """
    from vkd.engine import build_runner

    whole = build_runner(cfg('whole'))
    whole.train()
    cut = build_runner(cfg('cut'))
    cut.register_hook(Power(at))
    with pytest.raises(InterruptedError):
        cut.train()
    torch.rand(11)  # another process has another stream
    again = build_runner(cfg('cut'), folder / 'cut', resume=True)
    again.train()
    a, b = whole.model.state_dict(), again.model.state_dict()
    assert again.iter == whole.iter and a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    return whole, again
