"""The decoder of SegFormer as its authors wrote it."""
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads import SegformerHead
from torch import nn

from ...registry import MODELS


@MODELS.register_module()
class LinearSegformerHead(SegformerHead):
    """mmseg's SegformerHead with plain linear projections of the stages (mmseg puts a batch norm and a ReLU behind each), so that official weights fit exactly.

    Xie et al., "SegFormer", NeurIPS 2021, section 3.2.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.convs = nn.ModuleList(ConvModule(c, self.channels, 1, norm_cfg=None, act_cfg=None) for c in self.in_channels)
