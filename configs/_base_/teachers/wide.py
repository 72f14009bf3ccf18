# the network of models/wide.py, as a teacher
teacher_name = 'wide'
from mmengine import Config
teacher = Config.fromfile('{{ fileDirname }}/../models/wide.py').student
del Config
