# The schedule of mmsegmentation: ImageNet statistics, crops of 512x1024, 160000 iterations, plain cross entropy at label size, a teacher decoder of 256 channels.
# Give the ImageNet weights of the encoders by model.student.checkpoint=... (strict=False); without them the student starts from scratch, which is another experiment (T2).
# Mended: T1 (mIoU at label size), T3 (256, mmseg's own), T4 to T15 as in the official preset; T9 without class weights, so every counted pixel weighs the same.
_base_ = ['../_base_/models/lvt.py', '../_base_/datasets/cityscapes_mmseg.py', '../_base_/protocols/cityscapes_mmseg.py', '../_base_/runtime.py']
model = dict(student=dict(decode_head=dict(num_classes=19)))
default_hooks = dict(checkpoint=dict(interval=4000))
