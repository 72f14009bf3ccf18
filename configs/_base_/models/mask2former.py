# Mask2Former's head for 19 classes, as mmsegmentation has it, on four maps of a plain ViT; needs mmdet and an mmcv with compiled operators
_attention = dict(embed_dims=256, num_heads=8, batch_first=True)
_no_decay = dict(decay_mult=0.)
mask2former = dict(
    type='Mask2FormerHead', in_channels=[384] * 4, strides=[4, 8, 16, 32], feat_channels=256, out_channels=256, num_classes=19, num_queries=100, num_transformer_feat_level=3, align_corners=False,
    pixel_decoder=dict(type='mmdet.MSDeformAttnPixelDecoder', num_outs=3, norm_cfg=dict(type='GN', num_groups=32), act_cfg=dict(type='ReLU'), positional_encoding=dict(num_feats=128, normalize=True),
                       encoder=dict(num_layers=6, layer_cfg=dict(self_attn_cfg=dict(num_levels=3, num_points=4, dropout=0., **_attention), ffn_cfg=dict(embed_dims=256, feedforward_channels=1024, num_fcs=2)))),
    positional_encoding=dict(num_feats=128, normalize=True),
    transformer_decoder=dict(return_intermediate=True, num_layers=9, layer_cfg=dict(self_attn_cfg=_attention, cross_attn_cfg=_attention, ffn_cfg=dict(embed_dims=256, feedforward_channels=2048, num_fcs=2))),
    loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=False, loss_weight=2., reduction='mean', class_weight=[1.] * 19 + [0.1]),
    loss_mask=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, loss_weight=5., reduction='mean'),
    loss_dice=dict(type='mmdet.DiceLoss', use_sigmoid=True, activate=True, reduction='mean', naive_dice=True, eps=1., loss_weight=5.),
    train_cfg=dict(num_points=12544, oversample_ratio=3., importance_sample_ratio=0.75, sampler=dict(type='mmdet.MaskPseudoSampler'), assigner=dict(type='mmdet.HungarianAssigner', match_costs=[
        dict(type='mmdet.ClassificationCost', weight=2.), dict(type='mmdet.CrossEntropyLossCost', weight=5., use_sigmoid=True), dict(type='mmdet.DiceCost', weight=5., pred_act=True, eps=1.)])))
mask2former_decay = dict(query_embed=_no_decay, query_feat=_no_decay, level_embed=_no_decay)
del _attention, _no_decay
