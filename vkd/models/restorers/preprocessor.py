"""From the images of a batch to what a restorer takes."""

import torch
from mmengine.model import BaseDataPreprocessor

from ...errors import UserError
from ...registry import MODELS


@MODELS.register_module()
class RestorationPreprocessor(BaseDataPreprocessor):
    """Images ``[C, H, W]`` on 0 to 255 -> one batch ``[B, C, H, W]``, float32 in 0 to 1; data samples are moved along, their images stay on
    0 to 255.

    mmagic's ``DataPreprocessor`` with mean 0 and std 255, for a network that takes 0 to 1.

    Raises UserError for a batch of images of different sizes.
    """

    def forward(self, data, training=False):
        data = self.cast_data(data)
        inputs = data['inputs']
        if not isinstance(inputs, torch.Tensor):
            if len({tuple(x.shape) for x in inputs}) > 1:
                raise UserError(
                    f'A batch holds images of {" and ".join(sorted({"x".join(map(str, x.shape)) for x in inputs}))} (channels x height x '
                    'width); crop them to one size for training, and give batch_size=1 for evaluation.'
                )
            inputs = torch.stack(list(inputs))
        return dict(data, inputs=inputs.float() / 255, data_samples=data.get('data_samples'))
