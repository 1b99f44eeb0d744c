# The second stage with a language transformer as teacher.
_base_ = './act_pt-s_1xb128-300e_shapenet55.py'

model = dict(
    teacher=dict(
        autoencoder=dict(
            transformer=dict(
                teacher=dict(
                    _delete_=True, type='TextTeacher', checkpoint='weights/bert-base-uncased'
                )
            )
        ),
        checkpoint='work_dirs/act-autoencoder_bert-b_1xb64-300e_shapenet55/epoch_301.pth',
    )
)
