"""Make low-resolution images for super-resolution. They are bicubic, as of MATLAB's imresize: DIR/X2/<name>x2.png and so on; truths are first
cropped to multiples of the scale.
"""

import argparse
from pathlib import Path

from ..errors import UserError


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd prepare-sr`` takes."""
    p.add_argument('source', help='folder of high-resolution images')
    p.add_argument('--out', required=True, metavar='DIR', help='folder to write to')
    p.add_argument('--scale', type=int, nargs='+', default=[2, 3, 4], help='by how much the images become smaller')
    p.add_argument('--overwrite', action='store_true', help='make images anew that exist; by default they are left as they are')


def main(args: argparse.Namespace) -> None:
    """Prints how many images were made."""
    from rich.progress import track

    from ..io.images import list_images, read_image, to_rgb, write_image
    from ..physics.resize import imresize, mod_crop

    files, made = list_images(args.source), 0
    if min(args.scale) < 2:
        raise UserError(f'--scale {min(args.scale)} makes nothing smaller; give whole numbers from 2 on.')
    stems = {}
    for file in files:
        other = stems.setdefault(file.stem, file)
        if other != file:
            raise UserError(
                f'Images {str(other)!r} and {str(file)!r} would both become {file.stem}x{args.scale[0]}.png; rename one of them.'
            )
    for file in track(files, 'images'):
        targets = {scale: Path(args.out, f'X{scale}', f'{file.stem}x{scale}.png') for scale in args.scale}
        wanted = {scale: target for scale, target in targets.items() if args.overwrite or not target.exists()}
        image = to_rgb(read_image(file), file) if wanted else None
        for scale, target in wanted.items():
            if min(image.shape[:2]) < scale:
                raise UserError(f'Image {str(file)!r} is {image.shape[0]}x{image.shape[1]}, too small for x{scale}; remove it.')
            write_image(target, imresize(mod_crop(image, scale), 1 / scale))
            made += 1
    print(f'{made} images made of {len(files)} in {args.out}, {len(files) * len(args.scale) - made} were there')
