# one source, two targets: trained on day sequences, tested on another day (Seq05VD) and at dusk (0001TP); whole images at 240x320, labels compared at their own size
_base_ = './camvid-240x320.py'
train_dataloader = dict(dataset=dict(sequences=('0006R0', '0016E5')))
test_dataloader = dict(dataset=dict(_delete_=True, type='vkd.MultiDomainDataset', datasets=[
    dict(domain=domain, type='vkd.CamVidDataset', split='test', sequences=(sequence,), pipeline=_base_.test_pipeline) for domain, sequence in (('day', 'Seq05VD'), ('dusk', '0001TP'))]))
test_evaluator = dict(_delete_=True, type='vkd.MultiDomainIoUMetric')
