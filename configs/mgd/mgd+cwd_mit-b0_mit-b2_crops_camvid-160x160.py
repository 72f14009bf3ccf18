# MGD as published for segmentation: beside it, CWD of the logits
_base_ = './mgd_mit-b0_mit-b2_crops_camvid-160x160.py'
model = dict(methods=_base_.model.methods + [dict(type='CWD', tau=4., loss_weight=3.)])
