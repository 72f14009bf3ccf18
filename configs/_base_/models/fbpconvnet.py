# a residual U-Net on the back-projection, 34.6 M parameters
student_name = 'fbpconvnet'
student = dict(type='vkd.Restorer', backbone=dict(type='FBPConvNet'), pixel_loss='mse', truth_peak=1)
model = dict(type='vkd.Distiller', student=student, methods=[], probe_shape=(1, 64, 64))
