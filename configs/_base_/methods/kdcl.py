# what is called the teacher learns beside the student
method_name = 'KDCL'
method_peers = dict(cnn='student', vit='vit')
methods = [dict(type='KDCL')]
