# DeiT-S (timm) at 512x512 with a Mask2Former decoder (100 queries, 9 layers, deformable attention on three levels), as the authors of GKD have it; needs mmdet
_base_ = './deit-s.py'
_attention = dict(embed_dims=256, num_heads=8, attn_drop=0., proj_drop=0., dropout_layer=None, batch_first=True)
_position = dict(num_feats=128, normalize=True)
model = dict(student=dict(decode_head=dict(
    _delete_=True, type='Mask2FormerHead', in_channels=[384] * 4, strides=[4, 8, 16, 32], feat_channels=256, out_channels=256, num_classes=19, num_queries=100, num_transformer_feat_level=3, align_corners=False,
    enforce_decoder_input_project=False, positional_encoding=_position,
    pixel_decoder=dict(
        type='mmdet.MSDeformAttnPixelDecoder', num_outs=3, norm_cfg=dict(type='GN', num_groups=32), act_cfg=dict(type='ReLU'), positional_encoding=_position, init_cfg=None,
        encoder=dict(num_layers=6, init_cfg=None, layer_cfg=dict(
            self_attn_cfg=dict(embed_dims=256, num_heads=8, num_levels=3, num_points=4, dropout=0., batch_first=True),
            ffn_cfg=dict(embed_dims=256, feedforward_channels=1024, num_fcs=2, ffn_drop=0., act_cfg=dict(type='ReLU', inplace=True))))),
    transformer_decoder=dict(return_intermediate=True, num_layers=9, init_cfg=None, layer_cfg=dict(
        self_attn_cfg=_attention, cross_attn_cfg=_attention, ffn_cfg=dict(embed_dims=256, feedforward_channels=2048, num_fcs=2, act_cfg=dict(type='ReLU', inplace=True), ffn_drop=0., dropout_layer=None, add_identity=True))),
    loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=False, loss_weight=2., reduction='mean', class_weight=[1.] * 19 + [0.1]),
    loss_mask=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, reduction='mean', loss_weight=5.),
    loss_dice=dict(type='mmdet.DiceLoss', use_sigmoid=True, activate=True, reduction='mean', naive_dice=True, eps=1., loss_weight=5.),
    train_cfg=dict(num_points=12544, oversample_ratio=3., importance_sample_ratio=0.75, sampler=dict(type='mmdet.MaskPseudoSampler'), assigner=dict(type='mmdet.HungarianAssigner', match_costs=[
        dict(type='mmdet.ClassificationCost', weight=2.), dict(type='mmdet.CrossEntropyLossCost', weight=5., use_sigmoid=True), dict(type='mmdet.DiceCost', weight=5., pred_act=True, eps=1.)])))))
