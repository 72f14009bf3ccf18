# the network of models/rcan.py, as a teacher
teacher_name = 'rcan'
from mmengine import Config
teacher = Config.fromfile('{{ fileDirname }}/../models/rcan.py').student
del Config
