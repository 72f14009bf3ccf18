# the network of models/edsr-narrow.py, as a teacher
teacher_name = 'edsr-narrow'
from mmengine import Config
teacher = Config.fromfile('{{ fileDirname }}/../models/edsr-narrow.py').student
del Config
