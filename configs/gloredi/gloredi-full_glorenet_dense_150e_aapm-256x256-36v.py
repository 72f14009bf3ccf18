_base_ = '../alone/alone_glorenet_150e_aapm-256x256-36v.py'
teacher_name = 'dense'
# a network of the student's kind that sees twice the views: its encoder learns by its own loss, its decoder is the student's (momentum 0, as in the release's sample run)
model = dict(data_preprocessor=dict(teacher_views=72), methods=[dict(type='GloReDi', variant='full')],
             teacher=dict(model={{_base_.student}}, trainable=True, ema={'backbone.decoder': 'backbone.decoder'}, ema_buffers=False, momentum=0.0, start='student', view='dense'))
optim_wrapper = dict(_delete_=True, constructor='vkd.PerRole', **{role: dict(optimizer=dict(type='Adam', lr=5e-4, betas=(0.9, 0.999))) for role in ('student', 'teacher')})
