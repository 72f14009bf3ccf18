_base_ = 'gloredi-full_glorenet-w16_dense_quick_ct-slices-128x128-72v.py'
student_name = 'glorenet-w16-legacy'
# the release's split of channels, weights and order of steps
model = dict(student=dict(backbone=dict(legacy_split=True)), teacher=dict(model=dict(backbone=dict(legacy_split=True))), methods=[dict(type='GloReDi', variant='release')])
train_cfg = dict(type='vkd.AlternateTrainLoop')
