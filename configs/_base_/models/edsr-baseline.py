# the baseline EDSR, 64 wide, 16 blocks, x4: 1,517,571 parameters
student_name = 'edsr-baseline'
student = dict(type='vkd.Restorer', backbone=dict(type='EDSR', scale=4, channels=64, blocks=16, res_scale=1.0), pixel_loss='l1')
model = dict(type='vkd.Distiller', student=student, methods=[])
