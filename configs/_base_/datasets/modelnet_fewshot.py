# A few-shot episode of ModelNet40, 1,024 points. Environment variables select it, such as
# WAY=10 SHOT=20 FOLD=3; a result is the mean over folds 0 to 9.
_base_ = './modelnet40.py'

episode = dict(
    type='mmkd3d.ModelNetFewShot',
    data_root='data/ModelNetFewshot',
    way={{'$WAY:5'}},
    shot={{'$SHOT:10'}},
    fold={{'$FOLD:0'}},
)
train_dataloader = dict(dataset=episode)
val_dataloader = dict(dataset=episode)
test_dataloader = val_dataloader
