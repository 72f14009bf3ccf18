# EDSR of full width, 256 wide, 32 blocks, x4: 43,089,923 parameters
student_name = 'edsr'
student = dict(type='vkd.Restorer', backbone=dict(type='EDSR', scale=4, channels=256, blocks=32, res_scale=0.1), pixel_loss='l1')
model = dict(type='vkd.Distiller', student=student, methods=[])
