# the network of models/pvt-v2-b2.py, as a teacher
teacher_name = 'pvt-v2-b2'
from mmengine import Config
teacher = Config.fromfile('{{ fileDirname }}/../models/pvt-v2-b2.py').student
del Config
