# what is called the teacher learns beside the student
method_name = 'DML'
method_peers = dict(cnn='student', vit='vit')
methods = [dict(type='DML')]
