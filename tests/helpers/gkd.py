"""Stage 1 of GKD between plain ViTs of few weights."""

PREPROCESSOR = dict(type='mmseg.SegDataPreProcessor', mean=[127.5] * 3, std=[64.0] * 3, bgr_to_rgb=True, size=(32, 32))


def vit(width=16, depth=2, **more):
    """A toy ViT over patches of 8x8 of images of 32x32."""
    return dict(
        type='vkd.TimmViT',
        **{**dict(arch='vit_tiny_patch16_224', img_size=32, patch_size=8, options=dict(embed_dim=width, depth=depth, num_heads=2)), **more},
    )


METHOD = dict(type='GKD', student='patches', teacher='patches', student_cls='cls', teacher_cls='cls')


def stage1(student=None, teacher=None, method=METHOD, **more):
    """Stage 1: no task loss, the tokens of a wide ViT as target."""
    return dict(
        type='vkd.Distiller',
        student=student or vit(16),
        teacher=teacher or vit(32),
        methods=[method],
        task_weight=0,
        data_preprocessor=PREPROCESSOR,
        probe_shape=(3, 32, 32),
        **more,
    )
