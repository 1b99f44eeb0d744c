# OBJ_BG of ScanObjectNN for the linear SVM of Point-M2AE and I2P-MAE, as
# stored: tools/probe.py CONFIG CHECKPOINT --data this file --method svm
# --pairwise --C 0.018 (I2P-MAE) or 0.042 (Point-M2AE).
_base_ = './scanobjectnn.py'

test_dataloader = dict(batch_size=128, dataset=dict(variant='obj_bg'))
