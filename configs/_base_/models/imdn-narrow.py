# for drawn pictures: IMDN 16 wide, 3 blocks, x2
student_name = 'imdn-narrow'
student = dict(type='vkd.Restorer', backbone=dict(type='IMDN', scale=2, channels=16, blocks=3), pixel_loss='l1')
model = dict(type='vkd.Distiller', student=student, methods=[])
