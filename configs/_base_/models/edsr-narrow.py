# for drawn pictures: EDSR 32 wide, 8 blocks, x2
student_name = 'edsr-narrow'
student = dict(type='vkd.Restorer', backbone=dict(type='EDSR', scale=2, channels=32, blocks=8), pixel_loss='l1')
model = dict(type='vkd.Distiller', student=student, methods=[])
