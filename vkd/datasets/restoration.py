"""Images and their degraded versions, and the transforms between file and network; names as in mmagic.

A pipeline's results hold RGB ``img`` (degraded) and ``gt``, ``[H, W, 3]``, uint8, uint16 or floating, with ``img_path``, ``gt_path``,
``name``, ``set`` and ``scale``.
"""

from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement

from ..errors import UserError, choice
from ..io.images import cached, image_size, list_images, read_image, to_rgb
from ..physics.degradations import degrade
from ..physics.resize import imresize, mod_crop
from ..registry import DATASETS, TRANSFORMS
from .root import Rooted


@DATASETS.register_module()
class BasicImageDataset(Rooted, BaseDataset):
    """Pairs of images in two folders, or the truths alone (their degraded versions are then made by the pipeline, ``MATLABLikeResize``);
    one set or several.

    Args:
        data_root: a folder, below ``VKD_DATA_ROOT`` where that is set and the path starts with ``data``.
        data_prefix: ``dict(gt='HR', img='LR_bicubic/X{scale}')``, folders in it; without ``img``, truths alone; without ``gt``, images to
            be restored.
        filename_tmpl: ``dict(img='{}x{scale}')``: how the stem of an image follows from that of its truth; suffixes may differ.
        scale: of the pairs.
        name: of the set, by which metrics group; the last part of ``data_root`` by default.
        sets: ``{name: folder in data_root}``, each laid out by ``data_prefix``: several sets as one, in order; None as a folder leaves one
            out that a config inherits.
        kwargs: of mmengine's BaseDataset; ``filter_cfg=dict(min_size=96)`` leaves out images (truths, where there are) with a side below 96
            pixels, and says how many.

    Raises:
        UserError: for a missing or empty folder, a truth without its image, or one smaller than the patches of the pipeline.
    """

    METAINFO = dict(dataset_type='basic_image', task_name='sisr')

    def __init__(
        self,
        data_root='data/sr',
        data_prefix=dict(gt='HR'),  # noqa: B006  (nobody changes it)
        filename_tmpl=None,
        scale=4,
        name=None,
        sets=None,
        **kwargs,
    ):
        self.prefix = {k: v for k, v in data_prefix.items() if v is not None}
        if not set(self.prefix) <= {'img', 'gt'} or not self.prefix:
            raise UserError(f'BasicImageDataset: data_prefix names {sorted(data_prefix)}; give gt, img, or both.')
        self.filename_tmpl, self.scale, self.sets = (
            (filename_tmpl or {}).get('img', '{}'),
            scale,
            {k: v for k, v in (sets or {name or Path(data_root).name: ''}).items() if v is not None},
        )
        if not self.sets:
            raise UserError('BasicImageDataset: every set is left out; keep one.')
        wrong = sorted({*(kwargs.get('filter_cfg') or {})} - {'min_size'})
        if wrong:
            raise UserError(f'BasicImageDataset: filter_cfg has {wrong[0]!r}; only min_size is known.')
        super().__init__(data_root=data_root, data_prefix={}, **kwargs)

    def filter_data(self):
        least, patch = (
            (self.filter_cfg or {}).get('min_size', 0),
            max((getattr(step, 'gt_patch_size', 0) for step in self.pipeline.transforms), default=0),
        )
        if not least and not patch:
            return self.data_list
        sizes = [image_size(item.get('gt_path') or item['img_path']) for item in self.data_list]
        kept = [item for item, size in zip(self.data_list, sizes, strict=False) if min(size) >= least]
        small = next(((item, size) for item, size in zip(self.data_list, sizes, strict=False) if least <= min(size) < patch), None)
        if small and 'gt_path' in small[0]:  # said now, and not when the image is drawn
            raise UserError(
                f'Image {small[0]["gt_path"]!r} is {small[1][0]}x{small[1][1]}, smaller than the patch of {patch}x{patch}; remove it, take '
                f'smaller patches, or leave out such images by filter_cfg=dict(min_size={patch}).'
            )
        if not kept:
            raise UserError(
                f'No image of {", ".join(self.sets)} in {str(self.data_root)!r} has sides of {least} pixels (min_size) or more; take '
                'smaller patches, and a smaller min_size.'
            )
        if len(kept) < len(self.data_list):
            print_log(
                f'{len(self.data_list) - len(kept)} of {len(self.data_list)} images in {str(self.data_root)!r} have a side below {least} '
                'pixels and are left out',
                logger='current',
            )
        return kept

    def load_data_list(self):
        missing = next((name for name, folder in self.sets.items() if not Path(self.data_root, folder).is_dir()), None)
        if missing and self.sets[missing]:
            raise UserError(
                f'Set {missing!r} is not there: folder {str(Path(self.data_root, self.sets[missing]))!r} does not exist; put it there, or '
                f'leave the set out (dataset.sets.{missing}=None).',
                code='no-such-file',
            )
        return [item for name, folder in self.sets.items() for item in self._one_set(name, Path(self.data_root, folder))]

    def _one_set(self, name, root):
        facts = dict(set=name, scale=self.scale)
        folders = {key: Path(root, prefix.format(scale=self.scale)) for key, prefix in self.prefix.items()}
        if 'gt' not in folders:
            return [dict(facts, img_path=str(p), name=p.stem) for p in list_images(folders['img'])]
        truths = list_images(folders['gt'])
        if 'img' not in folders:
            return [dict(facts, gt_path=str(p), name=p.stem) for p in truths]
        images, out = {}, []
        for path in list_images(folders['img']):
            if images.setdefault(path.stem, path) != path:
                raise UserError(
                    f'Images {str(images[path.stem])!r} and {path.name!r} have one name, so it is not clear which is the degraded version; '
                    'remove one.'
                )
        for truth in truths:
            stem = self.filename_tmpl.format(truth.stem, scale=self.scale)
            if stem not in images:
                raise UserError(
                    f'Image {str(truth)!r} has no degraded version {stem!r} in {str(folders["img"])!r}; add it, remove the image, or fix '
                    'filename_tmpl.'
                )
            out.append(dict(facts, gt_path=str(truth), img_path=str(images[stem]), name=truth.stem))
        return out


@TRANSFORMS.register_module()
class LoadImageFromFile(BaseTransform):
    """The file ``<key>_path`` as RGB ``[H, W, 3]``, uint8 or uint16, under ``key``: grey is repeated, CMYK converted.

    Args:
        key: 'img' or 'gt'.
        cache: folder of memory-mapped decoded copies, made at first need; None decodes each time.

    Raises UserError for a file that cannot be read, or has transparent pixels.
    """

    def __init__(self, key='img', cache=None):
        self.key, self.cache = key, cache

    def transform(self, results):
        path = results[f'{self.key}_path']
        results[self.key] = cached(path, self.cache) if self.cache else to_rgb(read_image(path), path)
        return results


@TRANSFORMS.register_module()
class ModCrop(BaseTransform):
    """``gt`` without the last rows and columns that the scale does not divide; the first such image is told of. Raises UserError for one of
    which nothing would be left.
    """

    def __init__(self):
        self.told = False

    def transform(self, results):
        image, scale = results['gt'], results['scale']
        size = f'{image.shape[0]}x{image.shape[1]}'
        if min(image.shape[:2]) < scale:
            raise UserError(f'{where(results, "gt")} is {size}, less than one pixel at a scale of {scale}; remove it.')
        results['gt'] = mod_crop(image, scale)
        if not self.told and results['gt'].shape != image.shape:
            self.told = True
            print_log(f'{where(results, "gt")} of {size} is cropped to multiples of {scale}; so are others like it', logger='current')
        return results


@TRANSFORMS.register_module()
class MATLABLikeResize(BaseTransform):
    """``key``: ``source`` reduced by the scale as MATLAB's ``imresize`` does (see ``vkd.physics.resize``). Crop the source by ``ModCrop``
    first.

    Args:
        cache: folder of memory-mapped results, made at first need, for sources that are whole files; None works them out each time.

    Raises UserError where the scale does not divide the source.
    """

    def __init__(self, key='img', source='gt', cache=None):
        self.key, self.source, self.cache = key, source, cache

    def transform(self, results):
        image, scale = results[self.source], results['scale']
        if image.shape[0] % scale or image.shape[1] % scale:
            raise UserError(
                f'{where(results, self.source)} is {image.shape[0]}x{image.shape[1]}, which {scale} does not divide; put ModCrop before '
                'MATLABLikeResize.'
            )
        if scale == 1:
            results[self.key] = image
        elif self.cache:
            results[self.key] = cached(results[f'{self.source}_path'], self.cache, lambda: imresize(image, 1 / scale), f'matlab-x{scale}')
        else:
            results[self.key] = imresize(image, 1 / scale)
        return results


@TRANSFORMS.register_module()
class RandomDegradation(BaseTransform):
    """``img`` from ``gt`` by blur, reduction, noise and JPEG (see ``vkd.physics.degradations.degrade``), of strengths drawn for each image.

    Args:
        seed: None draws anew each time, from numpy's global stream; a number gives every image its own fixed degradation, for validation
            and test.
        options: ranges of ``degrade``.
    """

    def __init__(self, seed=None, **options):
        self.seed, self.options = seed, options

    def transform(self, results):
        own = (
            np.random.randint(2**62)
            if self.seed is None
            else np.random.SeedSequence([self.seed, *f'{results.get("set")}/{results["name"]}'.encode()]).generate_state(1, np.uint64)[0]
            >> np.uint64(1)
        )
        try:
            results['img'] = degrade(
                np.ascontiguousarray(results['gt']), results['scale'], generator=torch.Generator().manual_seed(int(own)), **self.options
            )
        except UserError as error:
            raise UserError(f'{where(results, "gt")}: {error}') from error
        return results


@TRANSFORMS.register_module()
class PairedRandomCrop(BaseTransform):
    """The same random place of ``img`` and ``gt``: ``gt_patch_size`` pixels square of the truth, that over the scale of the image.

    Raises UserError where the scale does not divide the size, the images are not each other's by the scale, or are smaller than the patch.
    """

    def __init__(self, gt_patch_size=192):
        self.gt_patch_size = gt_patch_size

    def transform(self, results):
        scale, size = results['scale'], self.gt_patch_size
        if size % scale:
            raise UserError(f'PairedRandomCrop: gt_patch_size is {size}, which the scale {scale} does not divide; give a multiple.')
        check_ratio(results)
        h, w = results['img'].shape[:2]
        small = size // scale
        if min(h, w) < small:
            raise UserError(
                f'{where(results, "img")} is {h}x{w}, smaller than the patch of {small}x{small} (gt_patch_size {size}, scale {scale}); '
                'remove it, or take smaller patches.'
            )
        y, x = np.random.randint(h - small + 1), np.random.randint(w - small + 1)
        results['img'] = results['img'][y : y + small, x : x + small]
        results['gt'] = results['gt'][scale * y : scale * y + size, scale * x : scale * x + size]
        return results


@TRANSFORMS.register_module()
class Flip(BaseTransform):
    """Flips ``keys`` together with probability ``flip_ratio``; ``direction``: 'horizontal' or 'vertical'."""

    def __init__(self, keys=('img', 'gt'), flip_ratio=0.5, direction='horizontal'):
        choice('Flip', 'direction', direction, ('horizontal', 'vertical'))
        self.keys, self.flip_ratio, self.direction = keys, flip_ratio, direction

    def transform(self, results):
        if np.random.rand() < self.flip_ratio:
            for key in self.keys:
                results[key] = results[key][:, ::-1] if self.direction == 'horizontal' else results[key][::-1]
        return results


@TRANSFORMS.register_module()
class RandomTransposeHW(BaseTransform):
    """Exchanges height and width of ``img`` and ``gt``, both or neither, evenly.

    With both flips that makes all eight symmetries of the square.
    """

    def transform(self, results):
        if np.random.rand() < 0.5:
            for key in ('img', 'gt'):
                results[key] = results[key].swapaxes(0, 1)
        return results


@TRANSFORMS.register_module()
class PackInputs(BaseTransform):
    """``dict(inputs=img [3, h, w], data_samples)``; the sample has ``gt_img [3, H, W]`` where there is a truth, and name, set, scale and
    paths as metainfo.

    Both are on 0 to 255: uint8 stays, 16 bits become float32 over 257. Raises UserError for a truth that is not the image's by the scale,
        or values that are not finite.
    """

    def transform(self, results):
        if 'gt' in results:
            check_ratio(results)
        sample = BaseDataElement(metainfo={k: results[k] for k in ('name', 'set', 'scale', 'img_path', 'gt_path') if k in results})
        images = {key: self.pack(results[key], where(results, key)) for key in ('img', 'gt') if key in results}
        if 'gt' in images:
            sample.set_data(dict(gt_img=images['gt']))
        return dict(inputs=images['img'], data_samples=sample)

    @staticmethod
    def pack(image, name):
        if image.dtype == np.uint16:
            image = image.astype(np.float32) / 257
        if image.dtype.kind == 'f' and not np.isfinite(image).all():
            raise UserError(f'{name} holds values that are not finite; replace the image.', code='not-finite')
        return torch.from_numpy(np.array(image.transpose(2, 0, 1), order='C', copy=True))


def where(results, key):
    """How an image is called in an error: by its file, or what it was made from."""
    path = results.get(f'{key}_path') or results.get('gt_path') or results.get('img_path')
    return f'Image {str(path)!r}' if f'{key}_path' in results else f'The {key} of {str(path or results.get("name"))!r}'


def check_ratio(results):
    """Raises UserError unless ``gt`` is ``scale`` times as large as ``img``."""
    image, truth, scale = results['img'].shape[:2], results['gt'].shape[:2], results['scale']
    if truth != (scale * image[0], scale * image[1]):
        raise UserError(
            f'{where(results, "gt")} is {truth[0]}x{truth[1]} and {where(results, "img")[0].lower()}{where(results, "img")[1:]} is '
            f'{image[0]}x{image[1]} (height x width), '
            f'not {scale} times smaller; fix the pair, put ModCrop before, or set the scale of the dataset.'
        )
