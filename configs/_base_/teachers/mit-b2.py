# the network of models/mit-b2.py, as a teacher
teacher_name = 'mit-b2'
from mmengine import Config
teacher = Config.fromfile('{{ fileDirname }}/../models/mit-b2.py').student
del Config
