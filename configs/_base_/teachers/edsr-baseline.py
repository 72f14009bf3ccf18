# the network of models/edsr-baseline.py, as a teacher
teacher_name = 'edsr-baseline'
from mmengine import Config
teacher = Config.fromfile('{{ fileDirname }}/../models/edsr-baseline.py').student
del Config
