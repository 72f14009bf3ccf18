_base_ = 'gloredi-full_glorenet_dense_150e_deeplesion-256x256-72v.py'
student_name = 'glorenet-legacy'
# the release's split of channels, weights and order of steps
model = dict(student=dict(backbone=dict(legacy_split=True)), teacher=dict(model=dict(backbone=dict(legacy_split=True))), methods=[dict(type='GloReDi', variant='release')])
train_cfg = dict(type='vkd.AlternateTrainLoop')
