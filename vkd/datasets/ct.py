"""CT slices: lists of files by patient, and the transforms between file and scanner.

A pipeline's results hold ``hu [H, W]``, float32, with ``img_path``, ``name``, ``patient`` and ``set``.
"""

import re
from fnmatch import fnmatchcase
from pathlib import Path

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from mmengine.structures import BaseDataElement
from PIL import Image

from ..errors import UserError, choice
from ..io.files import read_json
from ..io.slices import check_hu, read_slice
from ..physics.hounsfield import hu_to_mu
from ..registry import DATASETS, TRANSFORMS
from .root import Rooted


@DATASETS.register_module()
class CTSliceDataset(Rooted, BaseDataset):
    """Slices of one split, chosen by patient, so that no patient is in two.

    Which files there are: an ``index`` (json: a list of ``dict(png=…, patient=…)``), or ``lists``, ``{split: text file of one path a
        line}``, or, with neither, all ``.npy`` below ``data_root`` by name.

    Args:
        data_root: a folder, below ``VKD_DATA_ROOT`` where that is set and the path starts with ``data``.
        split: a key of ``splits`` (or of ``lists``).
        splits: ``{split: [patterns of patients]}``, or ``{split: {set: [patterns]}}`` where a split has several sets, which metrics tell
            apart; with ``*`` and ``?``. Or ``{split: (first, last)}``: places in the sorted list, as GloReDi takes the AAPM slices; then a
            patient in two splits is refused as well.
        index: file that lists all slices; see above.
        lists: ``{split: file}`` of names; see above.
        patient: a regular expression whose first group is the patient in a file's path, where there is no index.

    Raises:
        UserError: for a missing list or file, a patient in two splits, a pattern that matches nobody, or an empty split.
    """

    METAINFO = dict(dataset_type='ct_slices', task_name='ct')

    def __init__(self, data_root='data/ct', split='train', splits=None, index=None, lists=None, patient=r'^([^/_]+)', **kwargs):
        self.split, self.splits, self.index, self.lists, self.patient = (
            split,
            dict(splits or {}),
            index,
            dict(lists or {}),
            re.compile(patient),
        )
        if split not in (self.lists or self.splits):
            raise UserError(
                f'CTSliceDataset: split {split!r} is none of '
                f'{", ".join(self.lists or self.splits) or "the splits, of which there are none"}; choose one of them.'
            )
        super().__init__(data_root=data_root, data_prefix={}, **kwargs)

    def load_data_list(self):
        by_split = self._listed() if self.lists else self._by_place() if self._places() else self._by_patient()
        self._refuse_shared(by_split)
        out = by_split[self.split]
        if not out:
            raise UserError(
                f'CTSliceDataset: split {self.split!r} of {self.data_root!r} has no slice; lay the data out as docs/data.md says.'
            )
        return out

    # -- which files -----------------------------------------------------------------------------------------------------
    def _item(self, path, patient=None, own='test'):
        if patient is None:
            found = self.patient.search(path)
            if not found:
                raise UserError(
                    f'CTSliceDataset: the path {path!r} does not tell its patient by {self.patient.pattern!r}; give patient= another '
                    'expression.'
                )
            patient = found[1]
        return dict(img_path=str(Path(self.data_root, path)), name=Path(path).with_suffix('').as_posix(), patient=str(patient), set=own)

    def _listed(self):
        out = {}
        for split, name in self.lists.items():
            file = Path(self.data_root, name)
            if not file.is_file():
                raise UserError(f'CTSliceDataset: the list {str(file)!r} does not exist; put it there, or fix lists.', code='no-such-file')
            out[split] = [self._item(line.strip()) for line in file.read_text().splitlines() if line.strip()]
        missing = next((item['img_path'] for item in out[self.split] if not Path(item['img_path']).is_file()), None)
        if missing:
            raise UserError(
                f'CTSliceDataset: {self.lists[self.split]!r} lists {missing!r}, which does not exist; add it or remove the line.',
                code='no-such-file',
            )
        return out

    def _places(self):
        return self.splits and all(
            isinstance(v, (list, tuple)) and all(isinstance(i, int) or i is None for i in v) for v in self.splits.values()
        )

    def _by_place(self):
        files = sorted(p.relative_to(self.data_root).as_posix() for p in Path(self.data_root).rglob('*.npy'))
        wanted = max(abs(i) for place in self.splits.values() for i in place if i is not None)
        if len(files) < wanted:
            raise UserError(
                f'CTSliceDataset: {self.data_root!r} holds {len(files)} .npy files, but the splits name place {wanted}; complete the data, '
                'or fix splits.'
            )
        return {split: [self._item(f) for f in files[slice(*place)]] for split, place in self.splits.items()}

    def _by_patient(self):
        file = Path(self.data_root, self.index or '')
        rows = (
            read_json(file)
            if self.index
            else [dict(png=p.relative_to(self.data_root).as_posix()) for p in sorted(Path(self.data_root).rglob('*.npy'))]
        )
        if rows is None:
            raise UserError(
                f'CTSliceDataset: the index {str(file)!r} does not exist; lay the data out as docs/data.md says.', code='no-such-file'
            )
        items = [self._item(row['png'], row.get('patient')) for row in rows]
        out = {}
        for split, sets in self.splits.items():
            out[split] = []
            for name, patterns in (sets if isinstance(sets, dict) else {split: sets}).items():
                for pattern in patterns:
                    own = [dict(item, set=name) for item in items if fnmatchcase(item['patient'], pattern)]
                    if not own:
                        raise UserError(
                            f'CTSliceDataset: no patient of {self.data_root!r} is called {pattern!r}; there are '
                            f'{", ".join(sorted({i["patient"] for i in items})[:8])} and so on.'
                        )
                    out[split] += own
        return out

    def _refuse_shared(self, by_split):
        seen = {}
        for split, items in by_split.items():
            for patient in {i['patient'] for i in items}:
                if patient in seen:
                    raise UserError(
                        f'CTSliceDataset: patient {patient!r} is in the splits {seen[patient]!r} and {split!r}, so that a network would be '
                        'tested on whom it has seen; give each patient to one split.'
                    )
                seen[patient] = split


@TRANSFORMS.register_module()
class LoadCTSlice(BaseTransform):
    """``hu`` of the file ``img_path``; ``offset`` is what its 16-bit PNG has at 0 HU: 1024, or 32768 of DeepLesion. Raises UserError as
    ``vkd.io.slices.read_slice`` does.
    """

    def __init__(self, offset=1024):
        self.offset = offset

    def transform(self, results):
        results['hu'] = read_slice(results['img_path'], self.offset)[0]
        return results


@TRANSFORMS.register_module()
class ResizeHU(BaseTransform):
    """``hu`` to ``size`` (a side, or ``(H, W)``).

    Args:
        method: 'area' (means of pixels, our decision for halving), 'bicubic' (Pillow's, which smooths before it reduces; DeepLesion in
            GloReDi), or 'bilinear' (OpenCV's, which does not; AAPM there).
    """

    METHODS = dict(area=cv2.INTER_AREA, bilinear=cv2.INTER_LINEAR)

    def __init__(self, size=256, method='area'):
        choice('ResizeHU', 'method', method, (*self.METHODS, 'bicubic'))
        self.size, self.method = (size, size) if isinstance(size, int) else tuple(size), method

    def transform(self, results):
        hu = results['hu']
        if hu.shape != self.size:
            wanted = self.size[::-1]
            results['hu'] = (
                np.array(Image.fromarray(hu).resize(wanted, Image.BICUBIC))
                if self.method == 'bicubic'
                else cv2.resize(hu, wanted, interpolation=self.METHODS[self.method])
            )
        return results


@TRANSFORMS.register_module()
class ClipHU(BaseTransform):
    """``hu`` clipped to ``low`` and ``high``."""

    def __init__(self, low=-1024, high=3072):
        self.low, self.high = low, high

    def transform(self, results):
        results['hu'] = np.clip(results['hu'], self.low, self.high)
        return results


@TRANSFORMS.register_module()
class PackCTInputs(BaseTransform):
    """``dict(inputs=mu [1, H, W], data_samples)``: attenuation in 1/cm, float32; name, set, patient and path as metainfo. Raises UserError
    for values that are no HU.
    """

    def transform(self, results):
        check_hu(results['hu'], results.get('img_path') or results['name'])
        sample = BaseDataElement(metainfo={k: results[k] for k in ('name', 'set', 'patient', 'img_path') if k in results})
        return dict(inputs=torch.from_numpy(hu_to_mu(results['hu']).astype(np.float32))[None], data_samples=sample)
