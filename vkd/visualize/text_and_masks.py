"""Pictures of what a method does between networks."""

import colorsys
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from PIL import Image, ImageDraw, ImageFont

from ..build.built import build, build_loader, with_model
from ..build.config import plain, type_name
from ..build.networks import forward_features
from ..distill.peers import on_one_grid
from ..distill.taps import student_input
from ..errors import UserError, nearest
from ..io.images import write_image
from ..methods.ctcl import CTCL, cost_map, region_costs, teaches
from ..models.heads.clip_semantic import set_text
from ..runs.evaluate import filled_from
from ..text.embeddings import load_text_embeddings

#: Okabe and Ito's blue and vermilion, which colour-blind readers tell apart; grey where nobody teaches, dark where there is no label
TAUGHT, NOBODY, IGNORED = ((0, 114, 178), (213, 94, 0)), (128, 128, 128), (40, 40, 40)


@torch.no_grad()
def who_teaches(logits, label, grid, margin=0.0, reliability='gt_ce', ignore_index=255):
    """``(pixels [H, W], regions [H, W])`` of two networks' logits ``{role: [1, K, h, w]}`` and ``label [1, H, W]``, int8.

    0: the first teaches the second; 1: the second teaches the first; -1: nobody; -2: no label. ``regions`` is drawn at the label's size.
    """
    logits, label = on_one_grid(logits, label)
    valid = label != ignore_index
    first, second = (cost_map(x, label, ignore_index, reliability) for x in logits.values())

    def decide(a, b, counted):
        out = torch.full(a.shape, -1, dtype=torch.int8)
        out[teaches(b, a, counted, margin)], out[teaches(a, b, counted, margin)], out[~counted] = 0, 1, -2
        return out[0]

    (cost_a, active), (cost_b, _) = (region_costs(c, valid, grid) for c in (first, second))
    cells = decide(cost_a, cost_b, active)[None, None].float()
    return decide(first, second, valid).numpy(), torch.nn.functional.interpolate(cells, size=label.shape[-2:], mode='nearest')[0, 0].to(
        torch.int8
    ).numpy()


def bsd_picture(cfg, checkpoint, images, out, pair=None, split='test'):
    """Writes a PNG of bidirectional selective distillation: for each image it, its truth, two networks' answers, and who teaches whom by
    region and by pixel.

    Decided at the label's size and by cost alone, whatever ``resolution`` and ``require_correct`` of the method are.

    Args:
        cfg: Config of a Distiller with peers and CTCL.
        checkpoint: of its run.
        images: indices in the split.
        pair: two roles; the student and the first peer by default.

    Raises:
        UserError: for a config without CTCL, a role that it does not have, or an index beyond the split.
    """
    if not any(type_name(m) == 'CTCL' for m in cfg.model.get('methods') or []):
        raise UserError(f'Config {cfg.filename!r} has no CTCL among its methods; give one of configs/ctcl.')
    model = build(with_model(cfg, filled_from(cfg.model, checkpoint))).eval()
    method = next(m for m in model.methods if isinstance(m, CTCL))
    pair = list(pair or model.learners[:2])
    for role in pair:
        if role not in model.networks:
            raise UserError(f'Role {role!r} is not in {cfg.filename!r}; {nearest(role, model.networks)}.')
    dataset = build_loader(cfg, f'{split}_dataloader').dataset
    palette = np.full((256, 3), 0, np.uint8)
    palette[: len(dataset.metainfo['palette'])] = dataset.metainfo['palette']
    rows = []
    for index in images:
        inputs = model.data_preprocessor(pseudo_collate([dataset[_in_range(index, dataset, split)]]), False)
        logits, height, width = {}, *inputs['data_samples'][0].img_shape
        for name in pair:
            x, size = model.image(name, inputs['inputs']), student_input(inputs['inputs']).shape[-2:]
            with torch.no_grad():
                full = torch.nn.functional.interpolate(
                    forward_features(model.networks[name], x).float(), size=size, mode='bilinear', align_corners=False
                )
            logits[name] = full[..., :height, :width]  # what was padded has no truth
        label = inputs['data_samples'][0].gt_sem_seg.data.long()
        grid = method.grid or tuple(max(1, s // 32) for s in (height, width))
        pixels, regions = who_teaches(logits, label, grid, method.margin, method.reliability, method.ignore_index)
        size = label.shape[-1], label.shape[-2]
        image = _pixels(model, inputs)
        answers = [palette[x[0].argmax(0).numpy()] for x in on_one_grid(logits, label)[0].values()]
        colours = np.array([*TAUGHT, IGNORED, NOBODY], np.uint8)  # -2 and -1 count from the end
        shown = [np.asarray(Image.fromarray(image).resize(size)), palette[label[0].numpy()], *answers, colours[regions], colours[pixels]]
        counted = pixels != -2
        shares = [f'{100 * (pixels == k).sum() / max(counted.sum(), 1):.0f} %' for k in (0, 1)]
        rows.append((shown, shares))
    write_image(out, np.asarray(_sheet(rows, pair)))
    return plain(dict(pair=pair, images=list(images)))


def text_picture(cfg, checkpoint, texts, images, out, split='test'):
    """Writes a PNG of what a network with a ``ClipSemanticHead`` names, image by image: the image, its truth, its answer among the classes
    it was trained for, and its answer among each of ``texts``.

    Args:
        cfg: Config of a run.
        checkpoint: of it.
        texts: files of text embeddings, of any classes.
        images: indices in the split.

    Returns the share of the pixels that each class of each text gets over these images: ``{file: {class: share}}``.

    Raises:
        UserError: for a network without such a head, text of another width, or an index beyond the split.
    """
    if 'student' not in cfg.model:
        raise UserError(f'Config {cfg.filename!r} has no Distiller; give the config of a run of vkd.')
    model = build(with_model(cfg, dict(filled_from(cfg.model, checkpoint), teacher=None, teachers=None, methods=[]))).eval()
    dataset = build_loader(cfg, f'{split}_dataloader').dataset
    own_names, own_palette = dataset.metainfo['classes'], np.zeros((256, 3), np.uint8)
    own_palette[: len(own_names)] = dataset.metainfo['palette']
    named = {str(path): load_text_embeddings(path) for path in texts}
    inputs = [model.data_preprocessor(pseudo_collate([dataset[_in_range(i, dataset, split)]]), False) for i in images]
    answers = [[_answer(model.student, x) for x in inputs]]
    for text in named.values():
        set_text(model.student, text)
        answers.append([_answer(model.student, x) for x in inputs])
    palettes = [own_palette, *(distinct_colours(len(t.classes)) for t in named.values())]
    columns = []
    for i, x in enumerate(inputs):
        label = x['data_samples'][0].gt_sem_seg.data[0].numpy()
        size = label.shape[::-1]
        shown = [_pixels(model, x), own_palette[label], *(palette[found[i]] for palette, found in zip(palettes, answers, strict=False))]
        columns.append([np.asarray(Image.fromarray(p).resize(size, Image.NEAREST if k else Image.BILINEAR)) for k, p in enumerate(shown)])
    shares = {
        path: {c: float(np.mean([(found == k).mean() for found in answers[n + 1]])) for k, c in enumerate(text.classes)}
        for n, (path, text) in enumerate(named.items())
    }
    legends = [[(own_palette[k], c, None) for k, c in enumerate(own_names)]]
    for palette, (path, text) in zip(palettes[1:], named.items(), strict=False):
        found = [(palette[k], c, shares[path][c]) for k, c in enumerate(text.classes) if shares[path][c]]
        legends.append(sorted(found, key=lambda entry: -entry[2]))
    titles = [f'classes of {Path(p).stem}' + (' (synthetic text)' if t.synthetic else '') for p, t in named.items()]
    write_image(out, np.asarray(_text_sheet(columns, ['image', 'truth', 'classes of the run', *titles], legends)))
    return shares


def _in_range(index, dataset, split):
    if not 0 <= index < len(dataset):
        raise UserError(f'Image {index} was asked for, but the {split} set has {len(dataset)}; choose one of 0 to {len(dataset) - 1}.')
    return index


@torch.no_grad()
def _answer(network, inputs):
    """Class ids ``[H, W]`` of one image, at the label's size."""
    return network(inputs['inputs'], inputs['data_samples'], mode='predict')[0].pred_sem_seg.data[0].cpu().numpy()


def _pixels(model, inputs):
    """The image ``[H, W, 3]``, uint8 RGB, as it was before normalisation and without padding."""
    height, width = inputs['data_samples'][0].img_shape
    image, prep = student_input(inputs['inputs'])[0, :, :height, :width], model.data_preprocessor
    if getattr(prep, '_enable_normalize', False):
        image = image * prep.std + prep.mean
    return image.clamp(0, 255).byte().permute(1, 2, 0).numpy()


def distinct_colours(count):
    """``[256 or more, 3]`` uint8: that many hues, each third lighter and each third darker, black beyond."""
    out = np.zeros((max(256, count), 3), np.uint8)
    for k in range(count):
        out[k] = [round(255 * v) for v in colorsys.hls_to_rgb(k / count, (0.45, 0.65, 0.3)[k % 3], 0.75)]
    return out


def _text_sheet(columns, titles, legends, width=300, gap=8, line=18):
    """One column an image, one row a kind of picture, and beside it the legend of that row, as far as it fits: the classes with the largest
    shares.
    """
    font = ImageFont.load_default(13)
    heights = [round(width * pictures[0].shape[0] / pictures[0].shape[1]) for pictures in columns]
    height, wide = max(heights), 330
    lines = height // line
    sheet = Image.new('RGB', (gap + len(columns) * (width + gap) + wide, len(titles) * (height + line + gap) + gap), 'white')
    draw = ImageDraw.Draw(sheet)
    for row, title in enumerate(titles):
        top = gap + row * (height + line + gap)
        draw.text((gap, top), title, 'black', font)
        for i, pictures in enumerate(columns):
            sheet.paste(
                Image.fromarray(pictures[row]).resize((width, heights[i]), Image.NEAREST if row else Image.BILINEAR),
                (gap + i * (width + gap), top + line),
            )
        for k, (colour, name, share) in enumerate(legends[max(row - 2, 0)][: 2 * lines] if row else []):
            left, y = gap + len(columns) * (width + gap) + (k // lines) * (wide // 2), top + line + (k % lines) * line
            draw.rectangle((left, y + 2, left + 12, y + 14), tuple(int(v) for v in colour))
            draw.text((left + 18, y), name[:16] + ('' if share is None else f' {100 * share:.0f} %'), 'black', font)
    return sheet


def _sheet(rows, pair, width=240, gap=8, line=18):
    """Rows of pictures under their titles, with a legend."""
    font = ImageFont.load_default(13)
    titles = ['image', 'truth', pair[0], pair[1], 'regions', 'pixels']
    height = round(width * rows[0][0][0].shape[0] / rows[0][0][0].shape[1])
    sheet = Image.new('RGB', (len(titles) * (width + gap) + gap, (len(rows)) * (height + gap + line) + 2 * line + 2 * gap), 'white')
    draw = ImageDraw.Draw(sheet)
    for i, title in enumerate(titles):
        draw.text((gap + i * (width + gap), gap // 2), title, 'black', font)
    for r, (shown, shares) in enumerate(rows):
        top = line + gap + r * (height + gap + line)
        for i, picture in enumerate(shown):
            sheet.paste(
                Image.fromarray(picture).resize((width, height), Image.NEAREST if i else Image.BILINEAR), (gap + i * (width + gap), top)
            )
        draw.text((gap + 5 * (width + gap), top + height), f'{pair[0]} teaches {shares[0]}, {pair[1]} {shares[1]}', 'black', font)
    left, top = gap, sheet.height - line - gap // 2
    for colour, text in zip(
        (*TAUGHT, NOBODY, IGNORED), (f'{pair[0]} teaches {pair[1]}', f'{pair[1]} teaches {pair[0]}', 'neither', 'no label'), strict=False
    ):
        draw.rectangle((left, top + 2, left + 12, top + 14), colour)
        draw.text((left + 18, top), text, 'black', font)
        left += 40 + int(draw.textlength(text, font))
    return sheet
