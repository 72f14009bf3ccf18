# one source, two targets: trained on crops of day sequences, tested on whole images of another day (Seq05VD) and of dusk (0001TP) at 240x320, labels compared at their own size
_base_ = './camvid-160x160.py'
data_name = 'camvid-domains-160x160'
train_dataloader = dict(dataset=dict(sequences=('0006R0', '0016E5')))
test_dataloader = dict(dataset=dict(_delete_=True, type='vkd.MultiDomainDataset', datasets=[
    dict(domain=domain, type='vkd.CamVidDataset', split='test', sequences=(sequence,), pipeline=_base_.test_pipeline) for domain, sequence in (('day', 'Seq05VD'), ('dusk', '0001TP'))]))
test_evaluator = dict(_delete_=True, type='vkd.MultiDomainIoUMetric')
