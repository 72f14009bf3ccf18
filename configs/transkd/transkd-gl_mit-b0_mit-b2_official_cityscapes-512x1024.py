# The recipe of the authors' code: students from scratch, [0, 1] inputs, weighted cross entropy at a quarter of the resolution, a teacher decoder of 768 channels.
# Kept: T2 (no pretraining of the student), T3 (768), T10 (the line that ends at a third of the learning rate), T14 (linear projections).
# Mended: T1 (mIoU at label size), T4 (GL's scalars start at 0.5), T5 (no gradient through the teacher), T6 (one squeeze layer), T7 (the teacher of this very data set),
# T8 (image and label shift alike), T9 (19 classes, 255 ignored), T11 (options mean what they say), T12 (the variants differ), T13 (mmseg's eps), T15 (taps after the norm).
_base_ = ['../alone/alone_mit-b0_official_cityscapes-512x1024.py', '../_base_/teachers/mit-b2_official.py']
model = dict(methods=[dict(type='TransKD', variant='gl')],
             teacher=dict(model={{_base_.teacher}}, checkpoint='work_dirs/alone_mit-b2_official_cityscapes-512x1024/iter_1487000.pth'))
