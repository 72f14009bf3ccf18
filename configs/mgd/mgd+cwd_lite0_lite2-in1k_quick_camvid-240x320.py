# MGD as published for segmentation: beside it, CWD of the logits
_base_ = './mgd_lite0_lite2-in1k_quick_camvid-240x320.py'
model = dict(methods=_base_.model.methods + [dict(type='CWD', tau=4., loss_weight=3.)])
