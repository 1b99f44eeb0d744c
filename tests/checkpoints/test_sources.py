"""Conversion of published keys to ours and back."""

import itertools
import json
import random
import zlib

import pytest
import torch

from mmkd3d.checkpoints import (
    SOURCES,
    convert,
    detect,
    our_name,
    published_name,
    sources,
    state_dict_of,
    to_published,
)
from mmkd3d.checkpoints.keymap import KeyMap, Rule, covers
from tests.checkpoints.names import CASES, NAMES
from tests.checkpoints.published import PUBLISHED
from tests.helpers import parity_cases, rejects


def assert_same(got: dict, expected: dict) -> None:
    assert list(got) == list(expected)
    for key, value in expected.items():
        assert torch.equal(got[key], value), key


def test_names_are_those_agreed_on():
    for theirs, ours, source in NAMES:
        assert our_name(theirs, source) == ours
        assert published_name(ours, source) == theirs


@pytest.mark.parametrize('source', SOURCES)
def test_there_and_back_is_the_identity(source):
    theirs = PUBLISHED[source]
    ours, meta = convert(theirs, source)
    spec = SOURCES[source].input_spec._asdict()
    stage = SOURCES[source].stage
    assert meta == dict(source=source, stage=stage, dropped=[], input_spec=spec)
    assert_same(to_published(ours, source), theirs)
    for key, value in theirs.items():
        other = ours[our_name(key, source)]
        assert other.flatten().equal(value.flatten()), key
        assert other.ndim < 3 or value.shape == other.shape
    assert detect(ours) is None


def case_name(case) -> str:
    return f'{case.parent.name}/{case.name}'


@pytest.mark.parametrize(
    'case', [case for case in parity_cases('*/*') if case_name(case) in CASES], ids=case_name
)
def test_the_published_models_come_back_key_by_key(case):
    manifest = json.loads((case / 'manifest.json').read_text())
    states = [k for k in manifest if k.startswith('state_dict')]
    assert states
    for name in states:
        # Each tensor is filled with its index, expanded from a single value.
        theirs = {
            key: torch.tensor(float(i)).expand(entry['shape'])
            for i, (key, entry) in enumerate(manifest[name].items())
        }
        source = detect(theirs)
        assert source == CASES[case_name(case)]
        assert_same(to_published(convert(theirs, source)[0], source), theirs)


def test_files_are_recognised_whatever_the_order(monkeypatch):
    for seed, (source, published) in enumerate(PUBLISHED.items()):
        keys, shuffled = list(published), list(SOURCES.items())
        random.Random(seed).shuffle(keys)
        random.Random(seed).shuffle(shuffled)
        monkeypatch.setattr(sources, 'SOURCES', dict(shuffled))
        assert detect(dict.fromkeys(keys)) == source
        parallel = {f'module.{k}': v for k, v in published.items()}
        assert detect(state_dict_of(dict(base_model=parallel))) == source


def test_parts_of_stage_files_are_recognised():
    def without(source, part):
        return {k: v for k, v in PUBLISHED[source].items() if part not in k}

    for source in ('act', 'act_clip', 'act_bert', 'act_plain'):
        assert detect(without(source, 'dvae_tokenizer')) == 'act_student'
    # Without the frozen weights the families have the same keys.
    for family in ('', '_clip', '_bert'):
        rest = without(f'act_autoencoder{family}', 'visual_embed')
        assert detect(rest) == 'act_autoencoder'
        assert 'transformer.fingerprint' not in convert(rest, 'act_autoencoder')[0]


def test_no_rule_hides_another():
    for source in SOURCES.values():
        for side in (0, 1):
            prefixes = [rule[side] for rule in source.rules if rule[side]]
            assert len(set(prefixes)) == len(prefixes)
            assert not [(a, b) for a in prefixes for b in prefixes if a != b and covers(a, b)]


def test_unknown_keys_are_errors():
    strange = itertools.cycle(['surprise', 'norm', 'cls_token_2', 'encoder.third_conv.0.bias'])
    complete = [source for source in SOURCES if not SOURCES[source].partial]
    for source, key in zip(complete, strange):
        state = dict(PUBLISHED[source], **{key: torch.ones(1)})
        rejects(f'1 keys do not .*: {key}', convert, state, source)
        ours = dict(convert(PUBLISHED[source], source)[0])
        ours['head.surprise'] = torch.ones(1)
        rejects(f'{source} .*head.surprise', to_published, ours, source)
        rejects(key, our_name, key, source)
    for source in ('act', 'act_clip', 'act_bert'):
        rejects('not belong .* source act_plain', convert, PUBLISHED[source], 'act_plain')
    rejects('Unknown source .act_v9', to_published, {}, 'act_v9')
    rejects('act_v9', convert, PUBLISHED['act'], 'act_v9')


def test_what_is_not_known_of_a_partial_file_is_dropped_by_name():
    own = PUBLISHED['maskpoint']
    state = dict(own, **{'transformer_q.norm.weight': torch.ones(6)})
    assert detect(state) == 'maskpoint'
    ours, meta = convert(state, 'maskpoint')
    assert meta['dropped'] == ['transformer_q.norm.weight']
    assert_same(to_published(ours, 'maskpoint'), own)
    rejects(
        'maskpoint .*head.surprise', to_published, {'head.surprise': torch.ones(1)}, 'maskpoint'
    )


def test_other_layers_in_place_of_1x1_convolutions_are_errors():
    for source, key, shape in (
        ('act', 'ACT_encoder.encoder.first_conv.0.weight', (4, 3, 3)),
        ('act', 'ACT_encoder.encoder.first_conv.0.weight', (4, 3)),
        ('act', 'dvae_tokenizer.dgcnn_1.layer1.0.weight', (4, 8, 1)),
        ('act_semseg', 'convs3_cls.weight', (5, 6, 1, 1)),
    ):
        state = dict(PUBLISHED[source], **{key: torch.ones(shape)})
        rejects(f'{key} has shape .*out, in, 1', convert, state, source)
    ours, _ = convert(PUBLISHED['act_semseg'], 'act_semseg')
    ours['head.mlp.7.weight'] = ours['head.mlp.7.weight'][..., None]
    rejects(r'head.mlp.7.weight .*\(out, in\)', to_published, ours, 'act_semseg')


def test_dropped_keys_are_named_and_ours_alone_are_not_published(monkeypatch):
    rules = (Rule('a.', 'b.'), Rule('queue', None), Rule(None, 'count'))
    monkeypatch.setitem(SOURCES, 'toy', KeyMap('pretrain', ('a.',), rules))
    x = torch.ones(2)
    ours, meta = convert({'a.weight': x, 'queue': x}, 'toy')
    assert list(ours) == ['b.weight'] and meta['dropped'] == ['queue']
    assert our_name('queue', 'toy') is None
    assert list(to_published(dict(ours, count=x), 'toy')) == ['a.weight']
    assert published_name('count', 'toy') is None


@pytest.mark.parametrize('source', ['act_bert', 'act_autoencoder', 'act_plain', 'act_semseg'])
def test_frozen_weights_get_their_fingerprint(source):
    theirs = PUBLISHED[source]
    ours, _ = convert(theirs, source)
    found = [key for key in ours if key.endswith('fingerprint')]
    if not any('visual_embed' in key for key in theirs):
        assert not found and source in ('act_plain', 'act_semseg')
        return
    owner = '' if SOURCES[source].stage == 'teacher' else 'teacher.net.'
    assert found == [f'{owner}transformer.fingerprint']
    start = f'{owner}transformer.frozen.net.'
    content = b''.join(
        key[len(start) :].encode() + value.numpy().tobytes()
        for key, value in sorted(ours.items())
        if key.startswith(start)
    )
    value = ours[found[0]]
    assert value.shape == () and value.dtype == torch.int64
    assert int(value) == zlib.crc32(content)
