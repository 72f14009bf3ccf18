# the network of models/lite2.py, as a teacher
teacher_name = 'lite2-in1k'
from mmengine import Config
teacher = Config.fromfile('{{ fileDirname }}/../models/lite2.py').student
del Config
