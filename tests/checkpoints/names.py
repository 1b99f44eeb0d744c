"""Our names for keys of published files, and the source of each parity case."""

# Published key, our key, source; used for both directions.
TABLE = """
codebook quantizer.codebook act_autoencoder_plain
encoder.first_conv.1.running_mean patch_embed.first.1.running_mean act_autoencoder
encoder.second_conv.3.bias patch_embed.second.3.bias act_autoencoder
dgcnn_1.input_trans.weight graph_encoder.input.weight act_autoencoder
dgcnn_2.layer1.0.weight graph_decoder.edges.0.linear.weight act_autoencoder
dgcnn_2.layer4.1.bias graph_decoder.edges.3.norm.bias act_autoencoder
dgcnn_1.layer5.0.weight graph_encoder.output.weight act_autoencoder
dgcnn_1.layer5.1.weight graph_encoder.norm.weight act_autoencoder
visual_prompt_token transformer.prompt_token act_autoencoder
visual_prompt_pos transformer.prompt_pos act_autoencoder
deep_prompt_tokens transformer.deep_prompt_tokens act_autoencoder
deep_prompt_pos transformer.deep_prompt_pos act_autoencoder
visual_pos_embed.2.bias transformer.pos_embed.2.bias act_autoencoder
proj_pre.weight transformer.proj_pre.weight act_autoencoder
proj_post.weight transformer.proj_post.weight act_autoencoder
decoder.mlp.4.weight decoder.coarse.4.weight act_autoencoder
decoder.final_conv.6.weight decoder.fold.6.weight act_autoencoder
visual_embed.0.11.attn.qkv.bias transformer.frozen.net.blocks.11.attn.qkv.bias act_autoencoder
visual_embed.1.weight transformer.frozen.net.norm.weight act_autoencoder
visual_embed.0.weight transformer.frozen.net.pre.weight act_autoencoder_clip
visual_embed.1.3.ln_1.bias transformer.frozen.net.blocks.3.ln_1.bias act_autoencoder_clip
visual_embed.2.bias transformer.frozen.net.norm.bias act_autoencoder_clip
visual_embed.0.layer.3.output.dense.bias transformer.frozen.net.blocks.3.output.dense.bias act_autoencoder_bert
ACT_encoder.blocks.blocks.3.attn.qkv.weight backbone.blocks.3.attn.qkv.weight act
ACT_encoder.encoder.first_conv.0.weight backbone.patch_embed.first.0.weight act
ACT_encoder.cls_pos backbone.cls_pos act
cls_pos cls_pos act
ACT_encoder.lm_head.weight lm_head.weight act
ACT_encoder.cls_head.2.bias cls_head.2.bias act
mask_token decoder.mask_token act
decoder_pos_embed.0.bias decoder.pos_embed.0.bias act
ACT_decoder.blocks.1.norm2.bias decoder.blocks.1.norm2.bias act
ACT_decoder.norm.bias decoder.norm.bias act
proj_head.weight proj.weight act
dvae_tokenizer.codebook teacher.net.quantizer.codebook act_plain
dvae_tokenizer.visual_embed.1.0.ln_2.bias teacher.net.transformer.frozen.net.blocks.0.ln_2.bias act_clip
dvae_tokenizer.visual_embed.0.layer.0.output.dense.bias teacher.net.transformer.frozen.net.blocks.0.output.dense.bias act_bert
cls_token backbone.cls_token point_classifier
cls_head_finetune.8.bias head.mlp.8.bias point_classifier
side.first_conv.0.weight side.patch_embed.first.0.weight point_classifier
side_projection.weight side.proj.weight point_classifier
side_alpha side.alpha point_classifier
blocks.blocks.0.norm1.bias backbone.blocks.0.norm1.bias act_semseg
propagation_0_cls.mlp_convs.1.weight head.propagation.3.weight act_semseg
propagation_0.mlp_bns.1.bias head.propagation.4.bias act_semseg_old
convs1_cls.weight head.mlp.0.weight act_partseg
bns2.running_var head.mlp.5.running_var act_partseg_old
convs3_cls.bias head.mlp.7.bias act_partseg
label_conv_cls.1.bias head.label.1.bias act_partseg
label_conv.0.weight head.label.0.weight act_partseg_old
MAE_encoder.img_token backbone.global_token.img recon
MAE_encoder.norm.bias backbone.masked.norm.bias recon_twotower
Dis_encoder.img_pos backbone.contrast.global_pos.img recon_twotower
cls_proj.4.running_var contrast.proj.4.running_var recon
increase_dim.0.weight to_points.weight recon_twotower
cls_token backbone.global_token.cls recon_classifier
img_pos backbone.global_pos.img recon_classifier
blocks.blocks.3.attn_contrast.kv.weight backbone.blocks.3.attn_contrast.kv.weight recon_classifier
cls_head_finetune.0.bias head.mlp.0.bias recon_classifier
cls_pos backbone.masked.cls_pos recon_twotower_classifier
norm.bias backbone.masked.norm.bias recon_twotower_classifier
Dis_encoder.text_token backbone.contrast.global_token.text recon_twotower_classifier
Dis_encoder.encoder.first_conv.0.weight backbone.contrast.patch_embed.first.0.weight recon_twotower_classifier
text_token backbone.global_token.text recon_student
text_proj.bias proj.text.bias recon_zeroshot
img_proj.weight proj.img.weight recon_zeroshot
img_encoder.pre_logits.fc.bias targets.img.teacher.net.head.fc.bias recon
img_encoder.cls_token targets.img.teacher.net.cls_token recon
img_encoder.cls_token targets.img.teacher.net.class_embedding recon_clip
text_encoder.text_projection targets.text.teacher.net.text_projection recon_twotower
convs1.weight head.mlp.0.weight recon_partseg
label_conv.1.bias head.label.1.bias recon_partseg
h_encoder.token_embed.2.second_conv.3.weight backbone.embeds.2.second.3.weight i2p_mae
h_encoder.encoder_pos_embeds.1.2.bias backbone.pos_embeds.1.2.bias point_m2ae
h_encoder.encoder_blocks.1.blocks.4.attn.qkv.weight backbone.blocks.1.4.attn.qkv.weight point_m2ae_classifier
h_encoder.encoder_norms.2.bias backbone.norms.2.bias i2p_mae
mask_token decoder.mask_token i2p_mae
h_decoder.1.blocks.0.norm2.bias decoder.stages.1.0.norm2.bias point_m2ae
decoder_pos_embeds.0.2.weight decoder.pos_embeds.0.2.weight i2p_mae
token_prop.0.fuse.net.1.running_var decoder.propagations.0.fuse.1.running_var i2p_mae
token_prop.0.extraction.operation.0.net2.0.weight decoder.propagations.0.extraction.0.second.0.weight point_m2ae
decoder_norm.bias decoder.norm.bias i2p_mae
rec_head.weight to_points.weight point_m2ae
rec_head_3d.weight to_points.weight i2p_mae
rec_head_2d.bias to_feats.bias i2p_mae
norm.weight head.norm.weight point_m2ae_classifier
cls_head_finetune.5.bias head.mlp.5.bias point_m2ae_classifier
propagations.2.mlp_convs.1.weight head.propagations.2.3.weight point_m2ae_partseg
propagations.0.mlp_bns.0.running_mean head.propagations.0.1.running_mean point_m2ae_partseg
label_conv.0.weight head.label.0.weight point_m2ae_partseg
bns3.bias head.mlp.8.bias point_m2ae_partseg
convs4.weight head.mlp.10.weight point_m2ae_partseg
pre_encoder.mlp_module.layer2.conv.weight backbone.pre_encoder.mlp.6.weight three_detr
pre_encoder.mlp_module.layer1.bn.bn.running_var backbone.pre_encoder.mlp.4.running_var three_detr_m
encoder.layers.2.self_attn.in_proj_weight backbone.blocks.2.self_attn.in_proj_weight three_detr
encoder.interim_downsampling.mlp_module.layer0.conv.weight backbone.downsample.mlp.0.weight three_detr_m
encoder_to_decoder_projection.layers.6.weight bbox_head.projection.6.weight three_detr
pos_embedding.gauss_B bbox_head.positions.gauss_B three_detr
query_projection.layers.2.bias bbox_head.query_projection.2.bias three_detr
decoder.layers.7.multihead_attn.out_proj.bias bbox_head.decoder.layers.7.multihead_attn.out_proj.bias three_detr
decoder.norm.weight bbox_head.decoder.norm.weight three_detr
mlp_heads.sem_cls_head.layers.8.bias bbox_head.mlps.cls.8.bias three_detr
mlp_heads.angle_residual_head.layers.4.weight bbox_head.mlps.angle_res.4.weight three_detr_m
transformer_q.encoder.mlp_module.layer0.conv.weight backbone.pre_encoder.mlp.0.weight maskpoint
transformer_q.blocks.layers.1.linear2.bias backbone.blocks.1.linear2.bias maskpoint
"""
NAMES = tuple(tuple(row.split()) for row in TABLE.strip().splitlines())

# Parity case: source of its weights.
CASES = {
    'act/classifier': 'point_classifier',
    'act/classifier_linear': 'point_classifier',
    'act/dvae': 'act_autoencoder',
    'act/dvae_plain': 'act_autoencoder_plain',
    'act/pretrain': 'act',
    'act/pretrain_cls': 'act',
    'act/part_segmentation': 'act_partseg',
    'act/semantic_segmentation': 'act_semseg',
    'recon/pretrain_base': 'recon',
    'recon/pretrain_base_smc': 'recon',
    'recon/pretrain_base_teachers': 'recon',
    'recon/pretrain_block_cdl1': 'recon',
    'recon/pretrain_small': 'recon',
    'recon/pretrain_tiny': 'recon',
    'recon/pretrain_zeroshot': 'recon',
    'recon/twotower': 'recon_twotower',
    'recon/classifier_scanobjectnn': 'recon_classifier',
    'recon/classifier_twotower': 'recon_twotower_classifier',
    'recon/svm_modelnet40': 'recon_student',
    'recon/zeroshot_modelnet40': 'recon_zeroshot',
    'recon/zeroshot_scan_objonly': 'recon_zeroshot',
    'recon/partseg': 'recon_partseg',
    'i2p_mae/pretrain_loss': 'i2p_mae',
    'i2p_mae/linear_svm': 'i2p_mae',
    'i2p_mae/cls_modelnet40': 'point_m2ae_classifier',
    'i2p_mae/cls_scanobjectnn': 'point_m2ae_classifier',
    'i2p_mae/part_segmentation': 'point_m2ae_partseg',
    'detection/3detr_scannet_small': 'three_detr',
    'detection/3detr_scannet_full': 'three_detr',
    'detection/3detr_sunrgbd_color_small': 'three_detr',
    'detection/3detr_m_scannet_small': 'three_detr_m',
}
