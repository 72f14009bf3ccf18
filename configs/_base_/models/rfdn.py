# RFDN as released: 50 wide, 4 blocks, x4: 433,448 parameters
student_name = 'rfdn'
student = dict(type='vkd.Restorer', backbone=dict(type='RFDN', scale=4, channels=50, blocks=4), pixel_loss='l1')
model = dict(type='vkd.Distiller', student=student, methods=[])
