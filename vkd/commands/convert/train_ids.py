"""Labels of GTAV, SYNTHIA or Vistas in the 19 classes of Cityscapes. They are written beside the raw ones."""

import argparse


def arguments(p: argparse.ArgumentParser) -> None:
    """Adds what ``vkd convert train-ids`` takes."""
    from ...datasets.street import RAW_IDS

    p.add_argument('name', choices=sorted(RAW_IDS))
    p.add_argument('--root', help='folder of the data set; data/<name> by default')
    p.add_argument('--split', choices=['train', 'val'], default='train')


def main(args: argparse.Namespace) -> None:
    """Prints how many labels were written."""
    from ...datasets.street import write_train_ids

    print(f'{write_train_ids(args.name, args.root, args.split)} labels written')
