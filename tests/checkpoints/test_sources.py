"""Published keys to ours and back."""
import json
import random
import zlib

import pytest
import torch

from mmkd3d.checkpoints import (SOURCES, convert, detect, frozen_fingerprint,
                                our_name, published_name, sources,
                                state_dict_of, to_published)
from mmkd3d.checkpoints.keymap import KeyMap, Rule, covers
from tests.checkpoints.published import PUBLISHED
from tests.helpers import parity_cases

# Published key, our key, source; both directions are read from it.
NAMES = (
    ('codebook', 'quantizer.codebook', 'act_autoencoder_plain'),
    ('encoder.first_conv.1.running_mean', 'patch_embed.first.1.running_mean',
     'act_autoencoder'),
    ('encoder.second_conv.3.bias', 'patch_embed.second.3.bias',
     'act_autoencoder'),
    ('dgcnn_1.input_trans.weight', 'graph_encoder.input.weight',
     'act_autoencoder'),
    ('dgcnn_2.layer1.0.weight', 'graph_decoder.edges.0.linear.weight',
     'act_autoencoder'),
    ('dgcnn_2.layer4.1.bias', 'graph_decoder.edges.3.norm.bias',
     'act_autoencoder'),
    ('dgcnn_1.layer5.0.weight', 'graph_encoder.output.weight',
     'act_autoencoder'),
    ('dgcnn_1.layer5.1.weight', 'graph_encoder.norm.weight',
     'act_autoencoder'),
    ('visual_prompt_token', 'transformer.prompt_token', 'act_autoencoder'),
    ('visual_prompt_pos', 'transformer.prompt_pos', 'act_autoencoder'),
    ('deep_prompt_tokens', 'transformer.deep_prompt_tokens',
     'act_autoencoder'),
    ('deep_prompt_pos', 'transformer.deep_prompt_pos', 'act_autoencoder'),
    ('visual_pos_embed.2.bias', 'transformer.pos_embed.2.bias',
     'act_autoencoder'),
    ('proj_pre.weight', 'transformer.proj_pre.weight', 'act_autoencoder'),
    ('proj_post.weight', 'transformer.proj_post.weight', 'act_autoencoder'),
    ('decoder.mlp.4.weight', 'decoder.coarse.4.weight', 'act_autoencoder'),
    ('decoder.final_conv.6.weight', 'decoder.fold.6.weight',
     'act_autoencoder'),
    ('visual_embed.0.11.attn.qkv.bias',
     'transformer.frozen.net.blocks.11.attn.qkv.bias', 'act_autoencoder'),
    ('visual_embed.1.weight', 'transformer.frozen.net.norm.weight',
     'act_autoencoder'),
    ('visual_embed.0.weight', 'transformer.frozen.net.pre.weight',
     'act_autoencoder_clip'),
    ('visual_embed.1.3.ln_1.bias', 'transformer.frozen.net.blocks.3.ln_1.bias',
     'act_autoencoder_clip'),
    ('visual_embed.2.bias', 'transformer.frozen.net.norm.bias',
     'act_autoencoder_clip'),
    ('visual_embed.0.layer.3.output.dense.bias',
     'transformer.frozen.net.blocks.3.output.dense.bias',
     'act_autoencoder_bert'),
    ('ACT_encoder.blocks.blocks.3.attn.qkv.weight',
     'backbone.blocks.3.attn.qkv.weight', 'act'),
    ('ACT_encoder.encoder.first_conv.0.weight',
     'backbone.patch_embed.first.0.weight', 'act'),
    ('ACT_encoder.cls_pos', 'backbone.cls_pos', 'act'),
    ('cls_pos', 'cls_pos', 'act'),
    ('ACT_encoder.lm_head.weight', 'lm_head.weight', 'act'),
    ('ACT_encoder.cls_head.2.bias', 'cls_head.2.bias', 'act'),
    ('mask_token', 'decoder.mask_token', 'act'),
    ('decoder_pos_embed.0.bias', 'decoder.pos_embed.0.bias', 'act'),
    ('ACT_decoder.blocks.1.norm2.bias', 'decoder.blocks.1.norm2.bias', 'act'),
    ('ACT_decoder.norm.bias', 'decoder.norm.bias', 'act'),
    ('proj_head.weight', 'proj.weight', 'act'),
    ('dvae_tokenizer.codebook', 'teacher.net.quantizer.codebook', 'act_plain'),
    ('dvae_tokenizer.visual_embed.1.0.ln_2.bias',
     'teacher.net.transformer.frozen.net.blocks.0.ln_2.bias', 'act_clip'),
    ('dvae_tokenizer.visual_embed.0.layer.0.output.dense.bias',
     'teacher.net.transformer.frozen.net.blocks.0.output.dense.bias',
     'act_bert'),
    ('cls_token', 'backbone.cls_token', 'point_classifier'),
    ('cls_head_finetune.8.bias', 'head.mlp.8.bias', 'point_classifier'),
    ('side.first_conv.0.weight', 'side.patch_embed.first.0.weight',
     'point_classifier'),
    ('side_projection.weight', 'side.proj.weight', 'point_classifier'),
    ('side_alpha', 'side.alpha', 'point_classifier'),
    ('blocks.blocks.0.norm1.bias', 'backbone.blocks.0.norm1.bias',
     'act_semseg'),
    ('propagation_0_cls.mlp_convs.1.weight', 'head.propagation.3.weight',
     'act_semseg'),
    ('propagation_0.mlp_bns.1.bias', 'head.propagation.4.bias',
     'act_semseg_old'),
    ('convs1_cls.weight', 'head.mlp.0.weight', 'act_partseg'),
    ('bns2.running_var', 'head.mlp.5.running_var', 'act_partseg_old'),
    ('convs3_cls.bias', 'head.mlp.7.bias', 'act_partseg'),
    ('label_conv_cls.1.bias', 'head.label.1.bias', 'act_partseg'),
    ('label_conv.0.weight', 'head.label.0.weight', 'act_partseg_old'),
    ('MAE_encoder.img_token', 'backbone.global_token.img', 'recon'),
    ('MAE_encoder.norm.bias', 'backbone.masked.norm.bias', 'recon_twotower'),
    ('Dis_encoder.img_pos', 'backbone.contrast.global_pos.img',
     'recon_twotower'),
    ('cls_proj.4.running_var', 'contrast.proj.4.running_var', 'recon'),
    ('increase_dim.0.weight', 'to_points.weight', 'recon_twotower'),
    ('cls_token', 'backbone.global_token.cls', 'recon_classifier'),
    ('img_pos', 'backbone.global_pos.img', 'recon_classifier'),
    ('blocks.blocks.3.attn_contrast.kv.weight',
     'backbone.blocks.3.attn_contrast.kv.weight', 'recon_classifier'),
    ('cls_head_finetune.0.bias', 'head.mlp.0.bias', 'recon_classifier'),
    ('cls_pos', 'backbone.masked.cls_pos', 'recon_twotower_classifier'),
    ('norm.bias', 'backbone.masked.norm.bias', 'recon_twotower_classifier'),
    ('Dis_encoder.text_token', 'backbone.contrast.global_token.text',
     'recon_twotower_classifier'),
    ('Dis_encoder.encoder.first_conv.0.weight',
     'backbone.contrast.patch_embed.first.0.weight',
     'recon_twotower_classifier'),
    ('text_token', 'backbone.global_token.text', 'recon_student'),
    ('text_proj.bias', 'proj.text.bias', 'recon_zeroshot'),
    ('img_proj.weight', 'proj.img.weight', 'recon_zeroshot'),
    ('img_encoder.pre_logits.fc.bias',
     'targets.img.teacher.net.head.fc.bias', 'recon'),
    ('img_encoder.cls_token', 'targets.img.teacher.net.cls_token', 'recon'),
    ('img_encoder.cls_token', 'targets.img.teacher.net.class_embedding',
     'recon_clip'),
    ('text_encoder.text_projection',
     'targets.text.teacher.net.text_projection', 'recon_twotower'),
    ('convs1.weight', 'head.mlp.0.weight', 'recon_partseg'),
    ('label_conv.1.bias', 'head.label.1.bias', 'recon_partseg'),
    ('h_encoder.token_embed.2.second_conv.3.weight',
     'backbone.embeds.2.second.3.weight', 'i2p_mae'),
    ('h_encoder.encoder_pos_embeds.1.2.bias', 'backbone.pos_embeds.1.2.bias',
     'point_m2ae'),
    ('h_encoder.encoder_blocks.1.blocks.4.attn.qkv.weight',
     'backbone.blocks.1.4.attn.qkv.weight', 'point_m2ae_classifier'),
    ('h_encoder.encoder_norms.2.bias', 'backbone.norms.2.bias', 'i2p_mae'),
    ('mask_token', 'decoder.mask_token', 'i2p_mae'),
    ('h_decoder.1.blocks.0.norm2.bias', 'decoder.stages.1.0.norm2.bias',
     'point_m2ae'),
    ('decoder_pos_embeds.0.2.weight', 'decoder.pos_embeds.0.2.weight',
     'i2p_mae'),
    ('token_prop.0.fuse.net.1.running_var',
     'decoder.propagations.0.fuse.1.running_var', 'i2p_mae'),
    ('token_prop.0.extraction.operation.0.net2.0.weight',
     'decoder.propagations.0.extraction.0.second.0.weight', 'point_m2ae'),
    ('decoder_norm.bias', 'decoder.norm.bias', 'i2p_mae'),
    ('rec_head.weight', 'to_points.weight', 'point_m2ae'),
    ('rec_head_3d.weight', 'to_points.weight', 'i2p_mae'),
    ('rec_head_2d.bias', 'to_feats.bias', 'i2p_mae'),
    ('norm.weight', 'head.norm.weight', 'point_m2ae_classifier'),
    ('cls_head_finetune.5.bias', 'head.mlp.5.bias', 'point_m2ae_classifier'),
    ('propagations.2.mlp_convs.1.weight', 'head.propagations.2.3.weight',
     'point_m2ae_partseg'),
    ('propagations.0.mlp_bns.0.running_mean',
     'head.propagations.0.1.running_mean', 'point_m2ae_partseg'),
    ('label_conv.0.weight', 'head.label.0.weight', 'point_m2ae_partseg'),
    ('bns3.bias', 'head.mlp.8.bias', 'point_m2ae_partseg'),
    ('convs4.weight', 'head.mlp.10.weight', 'point_m2ae_partseg'),
    ('pre_encoder.mlp_module.layer2.conv.weight',
     'backbone.pre_encoder.mlp.6.weight', 'three_detr'),
    ('pre_encoder.mlp_module.layer1.bn.bn.running_var',
     'backbone.pre_encoder.mlp.4.running_var', 'three_detr_m'),
    ('encoder.layers.2.self_attn.in_proj_weight',
     'backbone.blocks.2.self_attn.in_proj_weight', 'three_detr'),
    ('encoder.interim_downsampling.mlp_module.layer0.conv.weight',
     'backbone.downsample.mlp.0.weight', 'three_detr_m'),
    ('encoder_to_decoder_projection.layers.6.weight',
     'bbox_head.projection.6.weight', 'three_detr'),
    ('pos_embedding.gauss_B', 'bbox_head.positions.gauss_B', 'three_detr'),
    ('query_projection.layers.2.bias', 'bbox_head.query_projection.2.bias',
     'three_detr'),
    ('decoder.layers.7.multihead_attn.out_proj.bias',
     'bbox_head.decoder.layers.7.multihead_attn.out_proj.bias', 'three_detr'),
    ('decoder.norm.weight', 'bbox_head.decoder.norm.weight', 'three_detr'),
    ('mlp_heads.sem_cls_head.layers.8.bias', 'bbox_head.mlps.cls.8.bias',
     'three_detr'),
    ('mlp_heads.angle_residual_head.layers.4.weight',
     'bbox_head.mlps.angle_res.4.weight', 'three_detr_m'),
    ('transformer_q.encoder.mlp_module.layer0.conv.weight',
     'backbone.pre_encoder.mlp.0.weight', 'maskpoint'),
    ('transformer_q.blocks.layers.1.linear2.bias',
     'backbone.blocks.1.linear2.bias', 'maskpoint'),
)

# Parity case: the source of its weights.
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


def assert_same(got: dict, expected: dict) -> None:
    assert list(got) == list(expected)
    for key, value in expected.items():
        assert torch.equal(got[key], value), key


@pytest.mark.parametrize('theirs, ours, source', NAMES)
def test_names_are_those_agreed_on(theirs, ours, source):
    assert our_name(theirs, source) == ours
    assert published_name(ours, source) == theirs


@pytest.mark.parametrize('source', SOURCES)
def test_there_and_back_is_the_identity(source):
    theirs = PUBLISHED[source]
    ours, meta = convert(theirs, source)
    assert meta == dict(
        source=source,
        stage=SOURCES[source].stage,
        dropped=[],
        input_spec=SOURCES[source].input_spec._asdict())
    assert_same(to_published(ours, source), theirs)
    for key, value in theirs.items():
        other = ours[our_name(key, source)]
        assert other.flatten().equal(value.flatten()), key
        assert other.ndim < 3 or value.shape == other.shape


def case_name(case) -> str:
    return f'{case.parent.name}/{case.name}'


@pytest.mark.parametrize(
    'case', [case for case in parity_cases('*/*') if case_name(case) in CASES],
    ids=case_name)
def test_the_published_models_come_back_key_by_key(case):
    manifest = json.loads((case / 'manifest.json').read_text())
    states = [k for k in manifest if k.startswith('state_dict')]
    assert states
    for name in states:
        # Each tensor holds its own number, in one value stretched to its
        # shape.
        theirs = {
            key: torch.tensor(float(i)).expand(entry['shape'])
            for i, (key, entry) in enumerate(manifest[name].items())
        }
        source = detect(theirs)
        assert source == CASES[case_name(case)]
        assert_same(to_published(convert(theirs, source)[0], source), theirs)


@pytest.mark.parametrize('source', SOURCES)
def test_files_are_recognised_whatever_the_order(source, monkeypatch):
    keys = list(PUBLISHED[source])
    for seed in range(3):
        random.Random(seed).shuffle(keys)
        shuffled = list(SOURCES.items())
        random.Random(seed).shuffle(shuffled)
        monkeypatch.setattr(sources, 'SOURCES', dict(shuffled))
        assert detect(dict.fromkeys(keys)) == source
    parallel = {f'module.{k}': v for k, v in PUBLISHED[source].items()}
    assert detect(state_dict_of(dict(base_model=parallel))) == source


@pytest.mark.parametrize('source', SOURCES)
def test_our_keys_are_no_published_file(source):
    assert detect(convert(PUBLISHED[source], source)[0]) is None


def test_parts_of_stage_files_are_recognised():
    def without(source, part):
        return {k: v for k, v in PUBLISHED[source].items() if part not in k}

    for source in ('act', 'act_clip', 'act_bert', 'act_plain'):
        assert detect(without(source, 'dvae_tokenizer')) == 'act_student'
    # Without the frozen weights the families have the same keys.
    for family in ('', '_clip', '_bert'):
        rest = without(f'act_autoencoder{family}', 'visual_embed')
        assert detect(rest) == 'act_autoencoder'
        assert 'transformer.fingerprint' not in convert(
            rest, 'act_autoencoder')[0]


@pytest.mark.parametrize('source', SOURCES)
def test_no_rule_hides_another(source):
    for side in (0, 1):
        prefixes = [r[side] for r in SOURCES[source].rules if r[side]]
        assert len(set(prefixes)) == len(prefixes)
        assert not [(a, b) for a in prefixes for b in prefixes
                    if a != b and covers(a, b)]


@pytest.mark.parametrize(
    'source', [s for s in SOURCES if not SOURCES[s].partial])
@pytest.mark.parametrize(
    'key', ['surprise', 'norm', 'cls_token_2', 'encoder.third_conv.0.bias'])
def test_unknown_keys_are_errors(source, key):
    state = dict(PUBLISHED[source], **{key: torch.ones(1)})
    with pytest.raises(ValueError, match=f'1 keys do not .*: {key}'):
        convert(state, source)
    ours = dict(convert(PUBLISHED[source], source)[0])
    ours['head.surprise'] = torch.ones(1)
    with pytest.raises(ValueError, match=f'{source} .*head.surprise'):
        to_published(ours, source)
    with pytest.raises(ValueError, match=key):
        our_name(key, source)


def test_what_is_not_known_of_a_partial_file_is_dropped_by_name():
    own = PUBLISHED['maskpoint']
    state = dict(own, **{'transformer_q.norm.weight': torch.ones(6)})
    assert detect(state) == 'maskpoint'
    ours, meta = convert(state, 'maskpoint')
    assert meta['dropped'] == ['transformer_q.norm.weight']
    assert_same(to_published(ours, 'maskpoint'), own)
    with pytest.raises(ValueError, match='maskpoint .*head.surprise'):
        to_published({'head.surprise': torch.ones(1)}, 'maskpoint')


def test_kinds_of_files_are_not_mistaken_for_each_other():
    for source in ('act', 'act_clip', 'act_bert'):
        with pytest.raises(ValueError, match='not belong .* source act_plain'):
            convert(PUBLISHED[source], 'act_plain')
    with pytest.raises(ValueError, match='Unknown source .act_v9'):
        to_published({}, 'act_v9')


@pytest.mark.parametrize('source, key, shape', [
    ('act', 'ACT_encoder.encoder.first_conv.0.weight', (4, 3, 3)),
    ('act', 'ACT_encoder.encoder.first_conv.0.weight', (4, 3)),
    ('act', 'dvae_tokenizer.dgcnn_1.layer1.0.weight', (4, 8, 1)),
    ('act_semseg', 'convs3_cls.weight', (5, 6, 1, 1)),
])
def test_other_layers_in_place_of_1x1_convolutions_are_errors(
        source, key, shape):
    state = dict(PUBLISHED[source], **{key: torch.ones(shape)})
    with pytest.raises(ValueError, match=f'{key} has shape .*out, in, 1'):
        convert(state, source)


def test_a_convolution_is_not_published_as_linear_of_a_convolution():
    ours, _ = convert(PUBLISHED['act_semseg'], 'act_semseg')
    ours['head.mlp.7.weight'] = ours['head.mlp.7.weight'][..., None]
    with pytest.raises(ValueError, match=r'head.mlp.7.weight .*\(out, in\)'):
        to_published(ours, 'act_semseg')


def test_both_class_positions_survive():
    theirs = PUBLISHED['act']
    ours, _ = convert(theirs, 'act')
    assert not torch.equal(theirs['cls_pos'], theirs['ACT_encoder.cls_pos'])
    assert ours['cls_pos'] is theirs['cls_pos']
    assert ours['backbone.cls_pos'] is theirs['ACT_encoder.cls_pos']


def test_dropped_keys_are_named_and_ours_alone_are_not_published(monkeypatch):
    monkeypatch.setitem(
        SOURCES, 'toy',
        KeyMap('pretrain', ('a.', ), (Rule('a.', 'b.'), Rule('queue', None),
                                      Rule(None, 'count'))))
    x = torch.ones(2)
    ours, meta = convert({'a.weight': x, 'queue': x}, 'toy')
    assert list(ours) == ['b.weight'] and meta['dropped'] == ['queue']
    assert our_name('queue', 'toy') is None
    assert list(to_published(dict(ours, count=x), 'toy')) == ['a.weight']
    assert published_name('count', 'toy') is None


@pytest.mark.parametrize('source', [s for s in SOURCES if 'act' in s])
def test_frozen_weights_get_their_fingerprint(source):
    theirs = PUBLISHED[source]
    ours, _ = convert(theirs, source)
    found = [key for key in ours if key.endswith('fingerprint')]
    if not any('visual_embed' in key for key in theirs):
        assert not found
        return
    owner = '' if SOURCES[source].stage == 'teacher' else 'teacher.net.'
    assert found == [f'{owner}transformer.fingerprint']
    start = f'{owner}transformer.frozen.net.'
    content = b''.join(
        key[len(start):].encode() + value.numpy().tobytes()
        for key, value in sorted(ours.items()) if key.startswith(start))
    value = ours[found[0]]
    assert value.shape == () and value.dtype == torch.int64
    assert int(value) == zlib.crc32(content)


def test_fingerprint_tells_weights_but_not_their_storage():
    state = {'b.weight': torch.randn(3, 4), 'a': torch.tensor(2.)}
    own = frozen_fingerprint(state)
    strided = {'a': state['a'], 'b.weight': state['b.weight'].t().clone().t()}
    assert frozen_fingerprint(strided) == own
    half = {k: v.half() for k, v in state.items()}
    assert frozen_fingerprint(half) == frozen_fingerprint(
        {k: v.float() for k, v in half.items()})
    assert frozen_fingerprint(dict(state, a=torch.tensor(2.1))) != own
    assert frozen_fingerprint({'c.weight': state['b.weight'],
                               'a': state['a']}) != own
