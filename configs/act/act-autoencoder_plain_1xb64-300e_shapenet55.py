# The discrete autoencoder without a transformer (Point-BERT's), 256 wide.
_base_ = './act-autoencoder_vit-b16_1xb64-300e_shapenet55.py'

model = dict(encoder_dims=256, token_dims=256, decoder_dims=256, transformer=None)
