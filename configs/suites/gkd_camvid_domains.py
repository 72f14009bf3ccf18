"""GKD from a teacher made of ImageNet features: trained on day images, tested on another day and at dusk; what decoupling, the queries, the mask and the class token each pay."""
title = 'GKD on CamVid by day and at dusk: crops of 160x160, 300 iterations of batch 8 per stage'
main_metric = 'mIoU'
_teacher, _student, _encoder = 'model.teacher.init_cfg.checkpoint', 'model.student.init_cfg.checkpoint', 'model.student.backbone.init_cfg.checkpoint'
_1b = 'configs/gkd/gkd_deit-ti_vit-s_stage1b_camvid-160x160.py'
stages = {
    'foundation': dict(config='configs/gkd/featurekd_vit-s_lite2-in1k_foundation_unlabeled-160x160.py', seed=0),
    '1a': dict(config='configs/gkd/gkd_deit-ti_vit-s_stage1a_proxy-160x160.py', after={_teacher: 'foundation'}),
    '1b-f2l': dict(config='configs/gkd/gkd_deit-ti_vit-s_stage1b-f2l_camvid-160x160.py', after={_teacher: 'foundation', _student: '1a'}),
    '1b': dict(config=_1b, after={_teacher: 'foundation'}),
    '1b-no-mask': dict(config=_1b, after={_teacher: 'foundation'}, options={'model.methods.0.mask_weight': 0}),
    '1b-no-cls': dict(config=_1b, after={_teacher: 'foundation'}, options={'model.methods.0.cls_weight': 0, 'model.methods.0.feat_includes_cls': False}),
    '1b-mse': dict(config='configs/gkd/featurekd_deit-ti_vit-s_stage1b_camvid-160x160.py', after={_teacher: 'foundation'})}
# what two stages change of the student by design; their schedule, which has no warm-up, is not the student's, so a gain over it is withheld
_own = ['model.student.backbone.frozen', 'model.student.backbone.init_cfg']
_two_stages = 'configs/gkd/alone_deit-ti-gkd_domains_camvid-domains-160x160.py'
runs = [
    dict(method='alone', student='deit-ti', config='configs/gkd/alone_deit-ti_domains_camvid-domains-160x160.py', seeds=[0, 1]),
    *[dict(method=method, label=f'{method} joint', student='deit-ti', config='configs/gkd/{method}_deit-ti_vit-s_domains_camvid-domains-160x160.py', after={_teacher: 'foundation'}, seeds=[0, 1])
      for method in ('GKD', 'FeatureKD')],
    *[dict(method='alone', label=label, student='deit-ti', config=_two_stages, after={_encoder: stage}, part_of_method=_own, seeds=[0, 1])
      for label, stage in (('GKD F2L', '1b-f2l'), ('GKD F2F', '1b'), ('GKD F2F no mask', '1b-no-mask'), ('GKD F2F no cls', '1b-no-cls'), ('MSE F2F', '1b-mse'))],
]
