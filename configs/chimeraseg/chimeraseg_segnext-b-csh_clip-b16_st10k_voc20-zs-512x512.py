# transductive second phase: half the iterations, from the middle checkpoint of the first; what is ignored learns the best unseen class, padding (200) does not
from mmengine import Config
_base_ = './chimeraseg_segnext-b-csh_clip-b16_20k_voc20-zs-512x512.py'
protocol_name = 'st10k'
phase, data = (Config.fromfile(f'{{ fileDirname }}/../_base_/{name}.py') for name in ('protocols/zs_10k', 'datasets/voc20-zs-transductive'))
train_cfg, param_scheduler = phase.train_cfg, phase.param_scheduler
train_dataloader = dict(dataset=dict(pipeline=data.train_pipeline))
model = dict(student=dict(checkpoint='work_dirs/chimeraseg_segnext-b-csh_clip-b16_20k_voc20-zs-512x512/iter_10000.pth', data_preprocessor=dict(seg_pad_val=200), decode_head=dict(self_training=True)))
del Config, phase, data
