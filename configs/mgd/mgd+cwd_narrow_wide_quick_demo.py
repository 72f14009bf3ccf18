# MGD as published for segmentation: beside it, CWD of the logits
_base_ = './mgd_narrow_wide_quick_demo.py'
model = dict(methods=_base_.model.methods + [dict(type='CWD', tau=4., loss_weight=3.)])
