# Point-M2AE's and I2P-MAE's pretraining (spec, section 9): the cosine is
# longer than the run, and what is called a token there has no decay: the mask
# token, the embeddings of patches and the propagation of the decoder.
_base_ = './pretrain_adamw_300e.py'

no_decay = dict(decay_mult=0.0)
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={'backbone.embeds.': no_decay, 'decoder.propagations.': no_decay}
    )
)
param_scheduler = dict(period=400)
