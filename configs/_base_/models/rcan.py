# RCAN, 10 groups of 20 blocks, 64 wide, x4: 15,592,355 parameters
student_name = 'rcan'
student = dict(type='vkd.Restorer', backbone=dict(type='RCAN', scale=4, channels=64, groups=10, blocks=20), pixel_loss='l1')
model = dict(type='vkd.Distiller', student=student, methods=[])
