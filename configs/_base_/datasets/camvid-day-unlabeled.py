# images of the day sequences of CamVid's training set, without labels; what is tested may not be among them
data_name = 'camvid-160x160'
data_fits = dict(protocol='stage1*')
train_pipeline = [dict(type='vkd.LoadImage'), dict(type='vkd.ImageNetAugment', size=160), dict(type='PackSegInputs')]
train_dataloader = dict(batch_size=8, num_workers=0, sampler=dict(type='vkd.RepeatedAugmentation'),
                        dataset=dict(type='vkd.UnlabeledImageDataset', data_root='data/camvid/images/train', prefixes=('0006R0', '0016E5'), targets=['data/camvid/images/test', 'data/camvid/images/*/0001TP*'],
                                     pipeline=train_pipeline))
