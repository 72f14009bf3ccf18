# GloReDi's network, 6.7 M parameters
student_name = 'glorenet'
student = dict(type='vkd.Restorer', backbone=dict(type='GloReNet'), pixel_loss='smooth_l1', truth_peak=1, loss_cap=dict(window=50, factor=3.0))
model = dict(type='vkd.Distiller', student=student, methods=[], probe_shape=(1, 64, 64))
