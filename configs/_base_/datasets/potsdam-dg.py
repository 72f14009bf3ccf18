# Potsdam RGB -> Potsdam IRRG and Vaihingen IRRG, tiles of 512x512 as mmsegmentation's converters cut them, the background of the labels ignored
_base_ = './gtav-dg.py'
data_name = 'potsdam-dg-512x512'
train_dataloader = dict(dataset=dict(_delete_=True, type='vkd.PotsdamDataset', data_root='data/potsdam_rgb',
                                     split='train', pipeline=_base_.train_pipeline))
tile_pipeline = [dict(type='vkd.LoadImage'), dict(type='Resize', scale=(512, 512), keep_ratio=True), dict(type='vkd.LoadLabel'), dict(type='PackSegInputs')]
targets = [dict(domain=domain, type=kind, data_root=root, split='val', pipeline=tile_pipeline)
           for domain, kind, root in (('potsdam_irrg', 'vkd.PotsdamDataset', 'data/potsdam_irrg'),
                                      ('vaihingen_irrg', 'vkd.ISPRSDataset', 'data/vaihingen'))]
val_dataloader = dict(dataset=dict(datasets=targets))
test_dataloader = dict(dataset=dict(datasets=targets))
del targets
