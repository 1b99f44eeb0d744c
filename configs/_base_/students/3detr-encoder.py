# The encoder of 3DETR as a student, as in MaskPoint's pretraining: with position
# embedding and a last norm, which finetuning drops.
student = dict(type='mmkd3d.ThreeDETREncoder', with_pos=True, with_norm=True)
