"""The list of images and labels of a data set in folders; errors name the file that is missing."""

from pathlib import Path

from ..errors import UserError


def list_pairs(dataset, images, label_of):
    """mmseg's data list of ``images`` (paths, in any order) and the labels that ``label_of(image)`` names; of ``dataset`` its label map and
    classes.

    Raises UserError where there is no image, or an image has no label.
    """
    images = sorted(Path(p) for p in images)
    if not images:
        raise UserError(
            f'{type(dataset).__name__}: folder {str(dataset.data_prefix["img_path"])!r} holds no image of its '
            'split; lay the data out as docs/data.md says.'
        )
    out = []
    for image in images:
        label = Path(label_of(image))
        if not label.is_file():
            raise UserError(f'Image {str(image)!r} has no label {str(label)!r}; add it or remove the image.')
        out.append(
            dict(
                img_path=str(image),
                seg_map_path=str(label),
                label_map=dataset.label_map,
                reduce_zero_label=dataset.reduce_zero_label,
                seg_fields=[],
                num_classes=len(dataset.metainfo['classes']),
            )
        )
    return out


def read_list(dataset, file, folder):
    """Paths of the ``.jpg`` images in ``folder`` whose names the text ``file`` lists. Raises UserError for a missing list, or a listed
    image that is missing.
    """
    name = type(dataset).__name__
    if not file.is_file():
        raise UserError(f'{name}: the list {str(file)!r} does not exist; lay the data out as docs/data.md says.', code='no-such-file')
    images = [Path(folder, f'{stem}.jpg') for stem in file.read_text().split()]
    missing = next((p for p in images if not p.is_file()), None)
    if missing:
        raise UserError(
            f'{name}: {str(file)!r} lists {missing.stem!r}, but {str(missing)!r} does not exist; add it or remove the line.',
            code='no-such-file',
        )
    return images
