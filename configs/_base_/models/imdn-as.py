# IMDN_AS, 64 wide, 6 blocks, output as large as the input: 752,104 parameters
student_name = 'imdn-as'
student = dict(type='vkd.Restorer', backbone=dict(type='IMDN_AS', channels=64, blocks=6), pixel_loss='l1')
model = dict(type='vkd.Distiller', student=student, methods=[])
