# The teacher is a language transformer: BERT base, uncased.
_base_ = './act-autoencoder_vit-b16_1xb64-300e_shapenet55.py'

model = dict(
    transformer=dict(
        teacher=dict(_delete_=True, type='TextTeacher', checkpoint='weights/bert-base-uncased')
    )
)
