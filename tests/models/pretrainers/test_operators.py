"""Which operators the losses run: in which precision, and whether a GPU is waited for."""

import functools

import pytest
import torch

from mmkd3d.apis.load import get_config
from mmkd3d.ops import sampling
from tests.operators import Operators, place, waits
from tests.ops.clouds import choose_form
from tests.small_models import build, objects

# Levels below the top have other numbers of visible patches in each cloud: the largest sizes the
# padded tokens (once for each level that is embedded, and for the semantic target), and the
# patches that are compared are taken by their mask, here and in the backward pass.
RAGGED = {
    'pyramid.of',
    'm2ae.forward_target',
    'i2p_mae.loss',
    'i2p_mae.forward_semantic',
    'backward',
}
METHODS = {
    'point-mae_pointvit-s_1xb128-300e_shapenet55': set(),
    'masked-distillation_pointvit-s_vit-b16_1xb128-300e_shapenet55': set(),
    'act-autoencoder_vit-b16_1xb64-300e_shapenet55': set(),
    'act_pointvit-s_guided_1xb128-300e_shapenet55': set(),
    'recon-b_1xb128-300e_shapenet55': set(),
    'i2p-mae-b_1xb64-300e_shapenet55': RAGGED,
}
DISTANCES = ('neighbors', 'pairwise', 'chamfer', 'sampling')
VIEWS = {'view', '_unsafe_view', 'expand', 'slice', 'select', 'unsqueeze', 'squeeze', 't'}
VIEWS |= {'transpose', 'permute', 'split', 'unbind', 'detach', 'alias', 'as_strided', 'clone'}
NORMS = ('native_layer_norm', 'native_batch_norm', 'native_group_norm')


@functools.cache
def method(name):
    torch.manual_seed(0)
    return build(get_config(name)).train()


def loss(model):
    torch.manual_seed(0)
    batch = model.data_preprocessor(objects(), True)
    losses = model(**batch, mode='loss')
    return losses, sum(value for key, value in losses.items() if key.startswith('loss'))


@pytest.mark.parametrize('name', METHODS)
def test_no_step_waits_for_the_gpu(name, monkeypatch):
    model = method(name)
    loss(model)  # reads texts, chooses precisions, ...
    # What is checked on a CPU only is not checked here.
    monkeypatch.setattr(torch.Tensor, 'is_cuda', True)
    monkeypatch.setattr(sampling, '_triton_sampler', lambda: None)
    choose_form(monkeypatch, 'torch')  # the form for GPUs
    found = waits(lambda: loss(model)[1].backward())
    assert {line.split(' at ')[1] for line in found} <= METHODS[name], found


@pytest.mark.parametrize('name', METHODS)
def test_in_bf16_distances_and_losses_are_in_float32_and_the_same_patches_are_masked(
    name, monkeypatch
):
    model, drawn, odd, low, exactly = method(name), [], [], [], set()
    inside = []  # losses that are being computed

    def keep(part):
        draw = getattr(model, part, None)
        if draw is not None:
            keep_it = lambda *args, **kwargs: drawn.append(draw(*args, **kwargs)) or drawn[-1]
            monkeypatch.setattr(model, part, keep_it, raising=False)

    def watch(op, tensors):
        half = [x for x in tensors if x.dtype == torch.bfloat16]
        low.extend(op for _ in half[:1])
        if op in NORMS and any(x.ndim == 1 and x.dtype != torch.float32 for x in tensors):
            odd.append(f'{op} at {place()}')
        where = place()
        exact = inside or where.split('.')[0] in DISTANCES
        exactly.update({op} if exact else ())
        if half and exact and op not in VIEWS | {'_to_copy'}:
            odd.append(f'{op} in {inside} at {where}')

    for module in model.modules():
        if type(module).__module__.startswith('mmkd3d.models.losses'):
            module.register_forward_pre_hook(lambda m, _: inside.append(type(m).__name__))
            module.register_forward_hook(lambda *_: inside.pop() and None)
    keep('group'), keep('draw_mask')
    losses, _ = loss(model)
    with torch.autocast('cpu', torch.bfloat16), Operators(watch):
        again, _ = loss(model)
    assert not odd and {'mm', 'addmm'} & {*low} and len(exactly) > 5
    assert all(value.dtype == torch.float32 for value in again.values())
    flat = lambda part: torch.utils._pytree.tree_leaves(part)
    half = len(drawn) // 2
    for first, second in zip(flat(drawn[:half]), flat(drawn[half:])):
        assert torch.equal(first, second)
    for key, value in losses.items():
        if key.startswith('loss'):
            assert again[key].item() == pytest.approx(value.item(), rel=0.05), key
