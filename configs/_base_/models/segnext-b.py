# SegNeXt-B, from scratch; the released ImageNet weights of mscan_b load by model.student.checkpoint=… model.student.strict=False
student_name = 'segnext-b'
student_kind = 'transformer'
student = dict(
    type='EncoderDecoder', data_preprocessor=dict(type='SegDataPreProcessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True, size_divisor=32),
    backbone=dict(type='MSCAN', embed_dims=[64, 128, 320, 512], mlp_ratios=[8, 8, 4, 4], drop_rate=0.0, drop_path_rate=0.1, depths=[3, 3, 12, 3], attention_kernel_sizes=[5, [1, 7], [1, 11], [1, 21]],
                  attention_kernel_paddings=[2, [0, 3], [0, 5], [0, 10]], act_cfg=dict(type='GELU'), norm_cfg=dict(type='BN')),
    decode_head=dict(type='LightHamHead', in_channels=[128, 320, 512], in_index=[1, 2, 3], channels=512, ham_channels=512, num_classes=19, dropout_ratio=0.1, norm_cfg=dict(type='GN', num_groups=32),
                     align_corners=False, loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True), ham_kwargs=dict(MD_S=1, MD_R=16, train_steps=6, eval_steps=7, inv_t=100, rand_init=True)),
    test_cfg=dict(mode='whole'))
model = dict(type='vkd.Distiller', student=student, methods=[])
