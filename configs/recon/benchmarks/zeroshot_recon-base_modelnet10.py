# Zero-shot classification of ModelNet10, whose lists lie beside ModelNet40's.
_base_ = './zeroshot_recon-base_modelnet40.py'

model = dict(ratio=0.2)
test_dataloader = dict(dataset=dict(num_classes=10))
