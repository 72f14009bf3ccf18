# IMDN_RTC, 12 wide, 5 blocks without a gate; x2 in its source
student_name = 'imdn-rtc'
student = dict(type='vkd.Restorer', backbone=dict(type='IMDN_RTC', scale=4, channels=12, blocks=5), pixel_loss='l1')
model = dict(type='vkd.Distiller', student=student, methods=[])
