# what decoupling is compared with: task and distillation at once
_base_ = ['./alone_deit-ti_domains_camvid-domains-160x160.py', '../_base_/teachers/vit-s_foundation.py']
model = dict(teacher={{_base_.teacher}},
             methods=[dict(type='GKD', student='backbone.patches', teacher='patches', student_cls='backbone.cls', teacher_cls='cls')])
