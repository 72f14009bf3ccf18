"""Networks and models of few weights, which train in a blink."""

import json
import tempfile
from pathlib import Path

import torch

CLASSES = 9


def segmentor(width=8, classes=CLASSES, dropout=0.0, norm='BN', checkpointing=False):
    """A SegFormer of four stages of one block each: ``width`` channels everywhere."""
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


def distiller(*methods, student=None, teacher=None, **more):
    """A small student, a teacher twice as wide, and ``methods`` between them."""
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


def build(cfg, seed=0):
    """The initialised model of a model dict, in training mode."""
    from mmengine.registry import DefaultScope

    from vkd.build.networks import build_model

    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = build_model(cfg)
        model.init_weights()
    return model.train()
