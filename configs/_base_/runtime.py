default_scope = 'mmseg'
custom_imports = dict(imports=['vkd'], allow_failed_imports=False)
randomness = dict(seed=0)
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
# two checkpoints: mmengine removes the oldest before it writes the newest, and one whole file must stay
default_hooks = dict(
    timer=dict(type='IterTimerHook'), logger=dict(type='LoggerHook', interval=10, log_metric_by_epoch=False), param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=100, max_keep_ckpts=2, backend_args=dict(backend='whole')), sampler_seed=dict(type='DistSamplerSeedHook'))
custom_hooks = [dict(type='vkd.RandomState'), dict(type='vkd.StopOnNonFinite'), dict(type='vkd.ChannelsLast')]
log_processor = dict(by_epoch=False)
log_level = 'INFO'
visualizer = dict(type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer')
load_from, resume = None, False
val_cfg, test_cfg = dict(type='ValLoop'), dict(type='TestLoop')
