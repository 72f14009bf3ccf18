# The recipe of the authors' code: students from scratch, [0, 1] inputs, weighted cross entropy at a quarter of the resolution, a teacher decoder of 768 channels.
# Kept: T2 (no pretraining of the student), T3 (768), T10 (the line that ends at a third of the learning rate), T14 (linear projections).
# Mended: T1 (mIoU at label size), T4 (GL's scalars start at 0.5), T5 (no gradient through the teacher), T6 (one squeeze layer), T7 (the teacher of this very data set),
# T8 (image and label shift alike), T9 (19 classes, 255 ignored), T11 (options mean what they say), T12 (the variants differ), T13 (mmseg's eps), T15 (taps after the norm).
# LVT drops nothing, neither paths nor channels of its decoder: the authors' lvt() has all its rates at 0.
_base_ = ['../_base_/models/lvt.py', '../_base_/datasets/cityscapes_official.py', '../_base_/protocols/cityscapes_official.py', '../_base_/runtime.py']
model = dict(student=dict(data_preprocessor=dict(mean=[0.] * 3, std=[255.] * 3), backbone=dict(drop_path_rate=0.),
                          decode_head=dict(type='vkd.LinearSegformerHead', label_stride=4, dropout_ratio=0., channels=256, num_classes=19,
                                           loss_decode=dict(avg_non_ignore=False, class_weight=[2.5959737, 6.741505, 3.5353868, 9.866315, 9.690922, 9.369371, 10.289124, 9.953209, 4.3098087, 9.490392, 7.674411, 9.396925, 10.347794, 6.3928986, 10.226673, 10.241072, 10.28059, 10.396977, 10.05567]))))
default_hooks = dict(checkpoint=dict(interval=4000))
