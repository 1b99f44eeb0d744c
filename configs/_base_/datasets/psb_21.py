# The 21 leaf classes of the Princeton Shape Benchmark that have shapes in both
# source splits: 368 training and 369 test shapes.
_base_ = './npz_cls.py'

input_spec = dict(up='y')
shapes = dict(
    file='{{$MMKD3D_DATA:data}}/psb_1809.npz',
    label='fine',
    names='fine_names',
    ids='model_id',
    split='is_test',
    subset_of_classes='in_both_splits',
)
train_dataloader = dict(dataset=shapes)
val_dataloader = dict(dataset=shapes)
test_dataloader = val_dataloader
