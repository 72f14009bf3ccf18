# no network: the back-projection as it is
student_name = 'untouched'
student = dict(type='vkd.Restorer', backbone=dict(type='Untouched'), pixel_loss='smooth_l1', truth_peak=1)
model = dict(type='vkd.Distiller', student=student, methods=[], probe_shape=(1, 64, 64))
