# MaskPoint's student: the encoder of 3DETR, with positions and a norm at the
# end that finetuning drops (detection, section 8.1).
student = dict(type='mmkd3d.ThreeDETREncoder', with_pos=True, with_norm=True)
