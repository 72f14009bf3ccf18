"""Reading images and labels with errors that name the file."""

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmseg.datasets.transforms import LoadAnnotations

from ..errors import UserError
from ..registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile``; an unreadable file is a UserError that names it."""

    def transform(self, results):
        try:
            out = super().transform(results)
        except Exception as error:  # cv2, Pillow and the file backends raise their own kinds
            raise UserError(
                f'Image {results["img_path"]!r} cannot be read ({type(error).__name__}); replace the file.', code='broken-file'
            ) from error
        if out is None:
            raise UserError(f'Image {results["img_path"]!r} cannot be read; replace the file.', code='broken-file')
        return out


@TRANSFORMS.register_module()
class LoadLabel(LoadAnnotations):
    """mmseg's ``LoadAnnotations``, checked: of the image's size as stored, and classes in range.

    Raises UserError for an unreadable label, another size than the image (``ori_shape``), or a class that the dataset does not have.
    """

    def transform(self, results):
        path = results['seg_map_path']
        try:
            out = super().transform(results)
        except Exception as error:
            raise UserError(f'Label {path!r} cannot be read ({type(error).__name__}); replace the file.', code='broken-file') from error
        label = out['gt_seg_map']
        if label.shape != tuple(results['ori_shape'][:2]):
            raise UserError(
                f'Label {path!r} is {label.shape[1]}x{label.shape[0]} and image {results["img_path"]!r} is '
                f'{results["ori_shape"][1]}x{results["ori_shape"][0]} (width x height); give both one size.'
            )
        classes = results.get('num_classes')
        if classes is not None:
            wrong = label[(label >= classes) & (label != 255)]
            if wrong.size:
                raise UserError(
                    f'Label {path!r} holds class {int(np.max(wrong))}; the dataset has classes 0 to {classes - 1} and 255 (ignored): fix '
                    'the file or the label map.'
                )
        return out
