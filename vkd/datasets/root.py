"""Where data lies: ``data/`` by convention, ``VKD_DATA_ROOT`` instead where that is set."""

import os
from pathlib import Path

from ..errors import UserError, choice


def data_root(path):
    """``'data/camvid'`` -> an existing folder; a leading ``data`` gives way to ``VKD_DATA_ROOT``. Raises UserError."""
    path, root = Path(path), os.environ.get('VKD_DATA_ROOT')
    if root and path.parts[:1] == ('data',):
        path = Path(root, *path.parts[1:])
    if not path.is_dir():
        where = f'VKD_DATA_ROOT is {root!r}' if root else 'VKD_DATA_ROOT is not set'
        raise UserError(
            f'Data root {str(path)!r} does not exist ({where}); put the data there as docs/data.md says, or set VKD_DATA_ROOT to the '
            'folder that holds it.',
            code='no-such-file',
        )
    return str(path)


class Rooted:
    """First among the bases of a data set of mmengine: ``data_root`` follows ``VKD_DATA_ROOT``, the split is known."""

    splits = ()  # that there are

    def set_split(self, split):
        """Raises UserError for an unknown split."""
        self.split = choice(type(self).__name__, 'split', split, self.splits)

    def _join_prefix(self):
        self.data_root = data_root(self.data_root)
        super()._join_prefix()
