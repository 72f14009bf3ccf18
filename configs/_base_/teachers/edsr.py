# the network of models/edsr.py, as a teacher
teacher_name = 'edsr'
from mmengine import Config
teacher = Config.fromfile('{{ fileDirname }}/../models/edsr.py').student
del Config
