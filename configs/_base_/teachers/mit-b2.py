# the network of models/mit-b2.py, as a teacher
from mmengine import Config
teacher = Config.fromfile('{{ fileDirname }}/../models/mit-b2.py').student
del Config
