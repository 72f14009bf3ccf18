# training tiles of Potsdam RGB without their labels
_base_ = './gtav-unlabeled.py'
data_name = 'potsdam-512x512'
train_dataloader = dict(dataset=dict(data_root='data/potsdam_rgb/img_dir/train', targets=['data/potsdam_irrg/img_dir/val', 'data/vaihingen/img_dir/val']))
