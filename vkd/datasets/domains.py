"""Several test domains in one run, each with its own data set, pipeline and size."""

from mmengine.dataset import ConcatDataset

from ..errors import UserError
from ..registry import DATASETS


@DATASETS.register_module()
class MultiDomainDataset(ConcatDataset):
    """Data sets of equal classes behind each other; every sample's metainfo names its ``domain``, and the data set's names all ``domains``,
    in order.

    Args:
        datasets (list): data set configs, each with a key ``domain``, its name.

    Raises:
        UserError: for a domain without a name, two of one name, or classes that differ.
    """

    def __init__(self, datasets, lazy_init=False):
        datasets = [dict(d) for d in datasets]
        unnamed = [d.get('type') for d in datasets if not d.get('domain')]
        if unnamed or not datasets:
            raise UserError(
                f"MultiDomainDataset: {f'a data set ({unnamed[0]}) has no name' if unnamed else 'there is no data set'}; give each a key "
                "domain='…'."
            )
        names = [str(d.pop('domain')) for d in datasets]
        double = next((n for n in names if names.count(n) > 1), None)
        if double:
            raise UserError(
                f'MultiDomainDataset: two data sets are the domain {double!r}, whose scores would be mixed; give each a name of its own.'
            )
        built = [DATASETS.build(d) for d in datasets]
        for name, dataset in zip(names, built, strict=True):
            if tuple(dataset.metainfo['classes']) != tuple(built[0].metainfo['classes']):
                raise UserError(
                    f'MultiDomainDataset: domain {name!r} has the classes {", ".join(dataset.metainfo["classes"])}, and {names[0]!r} has '
                    f'{", ".join(built[0].metainfo["classes"])}; map them onto the same, in one order.'
                )
        super().__init__(built, lazy_init, ignore_keys=[k for d in built for k in d.metainfo if k != 'classes'])
        self.domains = names
        self._metainfo = {**self._metainfo, 'domains': names}

    def __getitem__(self, idx):
        item = super().__getitem__(idx)
        item['data_samples'].set_metainfo(dict(domain=self.domains[self._get_ori_dataset_idx(idx)[0]]))
        return item
