# the network of models/edsr.py, as a teacher
from mmengine import Config
teacher = Config.fromfile('{{ fileDirname }}/../models/edsr.py').student
del Config
