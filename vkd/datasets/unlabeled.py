"""Images without labels: for distilling representations, on the source domain or on a proxy."""

import glob
import itertools
from pathlib import Path

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from mmengine.dist import get_dist_info, sync_random_seed
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image
from timm.data import create_transform
from torch.utils.data import Sampler

from ..errors import UserError
from ..registry import DATA_SAMPLERS, DATASETS, TRANSFORMS
from .root import data_root as resolve_root

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
#: folders and endings of file names by which public data sets call their labels
LABEL_FOLDERS = {
    'label',
    'labels',
    'gt',
    'gtfine',
    'gtcoarse',
    'groundtruth',
    'annotation',
    'annotations',
    'ann_dir',
    'mask',
    'masks',
    'segmentationclass',
    'segmentationclassaug',
    'trainannot',
    'valannot',
    'testannot',
    'labels40',
}
LABEL_ENDINGS = (
    '_labeltrainids',
    '_labelids',
    '_instanceids',
    '_instancetrainids',
    '_gt',
    '_gtfine_color',
    '_gt_color',
    '_label',
    '_mask',
    '_nocolorid',
)


@DATASETS.register_module()
class UnlabeledImageDataset(BaseDataset):
    """All images below one or more folders, sorted by path; no label is ever looked for, and what is named like one is refused.

    Args:
        data_root (str | list): folders, searched through all levels (below ``VKD_DATA_ROOT`` where that is set).
        list_file (str, optional): a file with one path a line, relative to ``data_root`` (the first), instead of a search.
        extensions: endings of image files, without regard to case.
        prefixes: beginnings of file names to keep, such as ``('0006R0', '0016E5')``; None keeps all.
        targets: folders, files or patterns of the domains that will be tested; an image of theirs in this list is refused.

    Raises:
        UserError: where there is no image, a listed one is missing, a label or a target image is among them, or the pipeline reads labels.
    """

    def __init__(self, data_root, list_file=None, extensions=EXTENSIONS, prefixes=None, targets=(), **kwargs):
        self.roots = [resolve_root(r) for r in ([data_root] if isinstance(data_root, (str, Path)) else data_root)]
        self.list_file, self.extensions, self.prefixes, self.targets = (
            list_file,
            tuple(e.lower() for e in extensions),
            tuple(prefixes) if prefixes else None,
            tuple(targets),
        )
        super().__init__(data_root=self.roots[0], **kwargs)
        for step in self.pipeline.transforms:
            if isinstance(step, LoadAnnotations):
                raise UserError(f'UnlabeledImageDataset: its pipeline reads labels ({type(step).__name__}); take that step out.')

    def load_data_list(self):
        images = (
            self._listed()
            if self.list_file
            else [(root, p) for root in self.roots for p in Path(root).rglob('*') if p.suffix.lower() in self.extensions and p.is_file()]
        )
        images = sorted({p: root for root, p in images if self.prefixes is None or p.name.startswith(self.prefixes)}.items())
        if not images:
            kept = f'; names that begin with {", ".join(self.prefixes)}' if self.prefixes else ''
            raise UserError(
                f'UnlabeledImageDataset: {self.list_file or ", ".join(self.roots)!r} holds no image ({", ".join(self.extensions)}{kept}); '
                'fix data_root, extensions or prefixes.'
            )
        targets = self._target_images()
        for path, root in images:
            folders = {part.lower() for part in path.relative_to(root).parts[:-1]} | {Path(root).name.lower()}
            if folders & LABEL_FOLDERS or path.stem.lower().endswith(LABEL_ENDINGS):
                raise UserError(
                    f'UnlabeledImageDataset: {str(path)!r} is named like a label, and none may be seen here; name the folder of the images '
                    'alone, or a list_file.'
                )
            if path.resolve() in targets:
                raise UserError(
                    f'UnlabeledImageDataset: {str(path)!r} belongs to a target domain ({targets[path.resolve()]!r}), whose images must not '
                    'be trained on; take it out of the source list.'
                )
        return [dict(img_path=str(path)) for path, _ in images]

    def _listed(self):
        root, file = Path(self.roots[0]), Path(self.list_file)
        file = file if file.is_file() else root / file
        if not file.is_file():
            raise UserError(
                f'UnlabeledImageDataset: list_file {self.list_file!r} does not exist, here or below {str(root)!r}; give the path of a file '
                'with one image a line.',
                code='no-such-file',
            )
        paths = [root / line.strip() for line in file.read_text(encoding='utf-8').splitlines() if line.strip()]
        missing = next((p for p in paths if not p.is_file()), None)
        if missing:
            raise UserError(
                f'UnlabeledImageDataset: {str(file)!r} lists {str(missing)!r}, which does not exist; add it or remove the line.',
                code='no-such-file',
            )
        return [(str(root), p) for p in paths]

    def _target_images(self):
        """``{path: the entry of targets that names it}``."""
        out = {}
        for entry in self.targets:
            head = Path(entry).parts[:2]
            pattern = (
                str(Path(resolve_root(str(Path(*head))), *Path(entry).parts[2:]))
                if head[:1] == ('data',) and len(head) == 2
                else str(entry)
            )
            found = [Path(p) for p in glob.glob(pattern, recursive=True)]
            if not found:
                raise UserError(f'UnlabeledImageDataset: target {entry!r} names no file or folder, so it guards nothing; fix its path.')
            for path in found:
                out.update({p.resolve(): str(entry) for p in (path.rglob('*') if path.is_dir() else [path])})
        return out


@TRANSFORMS.register_module()
class ImageNetAugment(BaseTransform):
    """timm's training augmentation of an image: random resized crop, flip, RandAugment, random erasing. The result is float32, still on 0
    to 255 and BGR, so that the data preprocessor normalises.

    Args:
        size: side of the crop.
        scale: range of its area.
        auto_augment: timm's RandAugment policy.
        re_prob: probability of erasing by normal noise.
    """

    def __init__(self, size=224, scale=(0.08, 1.0), auto_augment='rand-m9-mstd0.5-inc1', re_prob=0.25):
        self.mean, self.std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        self.augment = create_transform(
            size,
            is_training=True,
            scale=tuple(scale),
            color_jitter=None,
            auto_augment=auto_augment,
            interpolation='bicubic',
            re_prob=re_prob,
            re_mode='pixel',
            mean=self.mean,
            std=self.std,
        )
        for op in (op for step in self.augment.transforms for op in getattr(step, 'ops', [])):
            if 'Posterize' in op.name:
                op.magnitude_max = 9.99  # at 10 no bit of the image is kept, which Pillow refuses from version 13

    def transform(self, results):
        # timm draws from torch's stream too, which a resumed run restores only after its first batch was read; numpy's is there in time
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(np.random.randint(2**31))
            x = self.augment(Image.fromarray(cv2.cvtColor(results['img'], cv2.COLOR_BGR2RGB)))
        # the noise of the erased part is that of a normalised image, so timm normalises and it is undone
        x = (x * torch.tensor(self.std).view(3, 1, 1) + torch.tensor(self.mean).view(3, 1, 1)) * 255
        results['img'] = np.ascontiguousarray(x.permute(1, 2, 0).numpy()[..., ::-1])
        results['img_shape'] = results['img'].shape[:2]
        return results


@DATA_SAMPLERS.register_module()
class RepeatedAugmentation(Sampler):
    """An endless stream in which each drawn image comes ``repeats`` times in a row, each time augmented anew; processes take turns, so that
    copies are spread over them.

    An epoch keeps the length of the data set and so holds about one in ``repeats`` of its images (Hoffer et al., "Augment Your Batch", CVPR
    2020; Touvron et al., "DeiT", ICML 2021). The order follows from ``seed`` alone, equal on all processes; ``skip`` is the place at which
    a resumed run goes on.
    """

    def __init__(self, dataset, repeats=3, seed=None):
        if repeats < 1:
            raise UserError(f'RepeatedAugmentation: repeats is {repeats}; give 1 or more.')
        self.rank, self.world = get_dist_info()
        self.size, self.repeats, self.seed = len(dataset), repeats, sync_random_seed() if seed is None else seed
        self.start = 0

    def _order(self):
        """All processes' indices, without end."""
        generator = torch.Generator().manual_seed(self.seed)
        length = -(-self.size // self.world) * self.world
        while True:
            order = torch.randperm(self.size, generator=generator).repeat_interleave(self.repeats).tolist()
            yield from itertools.islice(itertools.cycle(order), length)

    def __iter__(self):
        return itertools.islice(self._order(), self.rank + self.start * self.world, None, self.world)

    def skip(self, num_samples):
        """Begins after the first ``num_samples`` of this process's indices, counted from the start of the run."""
        self.start = num_samples

    def __len__(self):
        return self.size
