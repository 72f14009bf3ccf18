# with the release's split of the decoder's streams, by which a quarter of the representation is never read
_base_ = 'glorenet.py'
student_name = 'glorenet-legacy'
student = dict(backbone=dict(legacy_split=True))
model = dict(student=dict(backbone=dict(legacy_split=True)))
