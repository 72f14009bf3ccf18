"""Write text embeddings of class names into a file. They are encoded by a CLIP text tower, or published or synthetic rows; runs verify the file."""

import argparse

from ..errors import UserError


def pair(text: str) -> tuple[str, str]:
    """``'class=words'`` -> ``('class', 'words')``."""
    left, sign, right = text.partition('=')
    if not (sign and left.strip() and right.strip()):
        raise argparse.ArgumentTypeError(f'{text!r} is not of the form class=words')
    return left.strip(), right.strip()


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd cache-text`` takes."""
    from ..text.prompts import TEMPLATES
    from ..text.zero_shot import SPLITS

    p.add_argument('--classes', required=True, help=f'{", ".join(SPLITS)}, a text file of one name a line, or names with commas between')
    p.add_argument('--out', required=True, metavar='FILE', help='file to write, .safetensors or .pt')
    kind = p.add_mutually_exclusive_group(required=True)
    kind.add_argument(
        '--clip', metavar='NAME', help='open_clip model, such as ViT-B-16-quickgelu for the weights of OpenAI; needs --checkpoint'
    )
    kind.add_argument('--from-zegclip', metavar='FILE.npy', help='array that ZegCLIP publishes: voc12_single, coco_single or coco_multi')
    kind.add_argument('--synthetic', action='store_true', help='seeded random rows, marked as such wherever they go')
    p.add_argument(
        '--checkpoint', metavar='FILE', help='with --clip: state dict of the whole CLIP; vkd convert clip makes one of an official archive'
    )
    p.add_argument(
        '--openai',
        choices=['auto', 'yes', 'no'],
        default='auto',
        help="with --clip: whether the weights are OpenAI's, which want QuickGELU; auto looks for marks in the file",
    )
    p.add_argument(
        '--templates',
        choices=list(TEMPLATES),
        help="sentences to fill; with --clip 'single' by default, with --from-zegclip told by the file's name",
    )
    p.add_argument(
        '--name',
        type=pair,
        action='append',
        default=[],
        metavar='CLASS=WORDS',
        help='with --clip: say these words instead of the class\'s name; may be repeated',
    )
    p.add_argument(
        '--rows',
        metavar='CLASS=ROW,…',
        help='with --from-zegclip: rows of other names, such as Sky=sky-other; CLASS=ROW+ROW takes the mean; for camvid a choice is built in',
    )
    p.add_argument('--seed', type=int, default=0, help='with --synthetic: seed of the rows')
    p.add_argument('--width', type=int, default=512, help='with --synthetic: width of the rows')


def main(args: argparse.Namespace) -> None:
    """Prints what was written."""
    from ..models.clip import clip_embeddings
    from ..text.embeddings import save_text_embeddings, synthetic_embeddings
    from ..text.zegclip import CAMVID_ROWS, from_zegclip
    from ..text.zero_shot import class_names

    classes = class_names(args.classes)
    for option, used, owner in (
        ('--checkpoint', args.checkpoint, '--clip'),
        ('--name', args.name, '--clip'),
        ('--rows', args.rows, '--from-zegclip'),
    ):
        if used and not getattr(args, owner[2:].replace('-', '_')):
            raise UserError(f'{option} belongs to {owner}; leave it out.')
    if args.synthetic:
        emb = synthetic_embeddings(classes, args.width, args.seed)
    elif args.from_zegclip:
        try:
            rows = dict(pair(item) for item in args.rows.split(',')) if args.rows else {}
        except argparse.ArgumentTypeError as error:
            raise UserError(f'--rows: {error}; write CLASS=ROW, or CLASS=ROW+ROW, with commas between.') from error
        unknown = next((c for c in rows if c not in classes), None)
        if unknown is not None:
            raise UserError(f'--rows names {unknown!r}, which is none of the classes; give names of {args.classes!r}.')
        chosen = {
            **(CAMVID_ROWS if args.classes == 'camvid' else {}),
            **{c: tuple(r.strip() for r in row.split('+')) for c, row in rows.items()},
        }
        emb = from_zegclip(args.from_zegclip, {c: chosen.get(c, c) for c in classes}, templates=args.templates)
    else:
        if not args.checkpoint:
            raise UserError('--clip needs --checkpoint, the file of its weights; nothing is downloaded.')
        emb = clip_embeddings(
            args.clip,
            args.checkpoint,
            classes,
            args.templates or 'single',
            dict(args.name),
            dict(auto=None, yes=True, no=False)[args.openai],
        )
    save_text_embeddings(args.out, emb)
    print(
        f'{"SYNTHETIC " * emb.synthetic}{len(emb.classes)} classes, {emb.embeddings.shape[1]} wide, templates {emb.templates}, CLIP '
        f'{emb.clip}; {emb.source}: {args.out}'
    )
