# The schedule of mmsegmentation: ImageNet statistics, crops of 512x1024, 160000 iterations, plain cross entropy at label size, a teacher decoder of 256 channels.
# Give the ImageNet weights of the encoders by model.student.checkpoint=... (strict=False); without them the student starts from scratch, which is another experiment (T2).
# Mended: T1 (mIoU at label size), T3 (256, mmseg's own), T4 to T15 as in the official preset; T9 without class weights, so every counted pixel weighs the same.
_base_ = ['../alone/alone_lvt_mmseg_cityscapes-512x1024.py', '../_base_/teachers/mit-b2_mmseg.py']
model = dict(methods=[dict(type='TransKD', variant='ea')],
             teacher=dict(model={{_base_.teacher}}, checkpoint='work_dirs/alone_mit-b2_mmseg_cityscapes-512x1024/iter_160000.pth'))
