# IMDN, 64 wide, 6 blocks, x4: 715,176 parameters; loss and range as in its source
student_name = 'imdn'
student = dict(type='vkd.Restorer', backbone=dict(type='IMDN', scale=4, channels=64, blocks=6), pixel_loss='l1')
model = dict(type='vkd.Distiller', student=student, methods=[])
