"""The decoder of SegFormer as its authors wrote it."""

from mmcv.cnn import ConvModule
from mmseg.models.decode_heads import SegformerHead
from torch import nn

from ...registry import MODELS


@MODELS.register_module()
class LinearSegformerHead(SegformerHead):
    """mmseg's SegformerHead with plain linear projections of the stages (mmseg puts a batch norm and a ReLU behind each), so that official
    weights fit exactly.

    Xie et al., "SegFormer", NeurIPS 2021, section 3.2.

    Args:
        label_stride: every how many pixels the label map is sampled for the loss; 4 compares at the logits' own resolution, as TransKD's
            code does.
    """

    def __init__(self, label_stride=1, **kwargs):
        super().__init__(**kwargs)
        self.label_stride = label_stride
        self.convs = nn.ModuleList(ConvModule(c, self.channels, 1, norm_cfg=None, act_cfg=None) for c in self.in_channels)

    def _stack_batch_gt(self, batch_data_samples):
        return super()._stack_batch_gt(batch_data_samples)[..., :: self.label_stride, :: self.label_stride]
